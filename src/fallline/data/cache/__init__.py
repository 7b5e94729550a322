"""The cache: encoded rows in a file, found again by the next run."""

from fallline.data.cache.folder import default_folder
from fallline.data.cache.gathered import Gathered
from fallline.data.cache.reader import Cache, find
from fallline.data.cache.writer import cache_key, write

__all__ = ["Cache", "Gathered", "cache_key", "default_folder", "find", "write"]
