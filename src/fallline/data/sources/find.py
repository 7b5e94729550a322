"""From paths, patterns and folders, here or in the cloud, to the files that they stand for."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import fs

from fallline.data.sources.files import COMPRESSIONS, File, stamp
from fallline.errors import InputError
from fallline.names import nearest

__all__ = ["find_files", "natural"]

REMOTE = ("s3", "gs", "gcs", "hdfs", "abfs", "abfss")
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


class Place(NamedTuple):
    """A path, pattern or folder, as given, and where it is."""

    given: str
    path: str
    prefix: str
    filesystem: Any

    @property
    def local(self) -> bool:
        """Whether it lies on this machine."""
        return isinstance(self.filesystem, fs.LocalFileSystem)


def find_files(
    places: str | os.PathLike | Iterable[str | os.PathLike], keys: Collection[str] = ()
) -> list[File]:
    """The files that a path, a pattern, a folder, or several of them stand for.

    Several keep the order given; what one pattern or folder finds is in natural order, "part-9" before "part-10". Files and
    folders whose names begin with "." or "_" are left out of what patterns and folders find.

    Keys in the names of folders are those beneath the folder or the fixed part of the pattern that was given; of these `keys`,
    those above it, too.

    Raises
    ------
    InputError
        If there is nothing there, or the same file twice.
    """
    several = [places] if isinstance(places, (str, os.PathLike)) else places
    files = [_with_keys(file, keys) for place in several for file in _find(_place(os.fspath(place)))]
    if not files:
        raise InputError("The list of files is empty. Give at least one.")
    seen: set[str] = set()
    for file in files:
        if file.path in seen:
            raise InputError(
                f"{file.name!r} is given twice, so its rows would count double. Give each file once."
            )
        seen.add(file.path)
    return files


def _with_keys(file, keys):
    above = [(key, value) for key, value in _keys(file.path) if key in keys and key not in dict(file.keys)]
    return file._replace(keys=(*above, *file.keys))


def natural(text: str) -> list[tuple[int, str]]:
    """A key to sort by in which numbers count as numbers."""
    return [
        (int(part), part) if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text) if part
    ]


def _place(given):
    scheme, separator, rest = given.partition("://")
    if not separator:
        # Path.expanduser raises for users that there are not.
        return Place(given, str(Path(os.path.expanduser(given))), "", fs.LocalFileSystem())  # noqa: PTH111
    if scheme.lower() not in (*REMOTE, "file"):
        raise InputError(
            f"{given!r} begins with {scheme}://, which fallline cannot read. Give a local path, s3:// or gs://, or download it."
        )
    path, _, settings = rest.partition("?")
    if scheme.lower() in {"gs", "gcs"} and "retry_limit_seconds" not in settings:
        # Google's client would try for a quarter of an hour before it says that a bucket is not there.
        settings = "&".join(filter(None, [settings, "retry_limit_seconds=15"]))
    return Place(given, *_opened(given, scheme, path, settings))


def _opened(given, scheme, path, settings):
    """The path within the filesystem that a URI names, how its files' names begin, and the filesystem."""
    fixed = re.split(r"[*\[]", path)[0]
    uri = f"{scheme}://{fixed}" + (f"?{settings}" if settings else "")
    try:
        filesystem, inner = filesystem_of(uri)
    except (pa.ArrowException, OSError) as error:
        raise _unreachable(given, error) from error
    slash = "/" if fixed.endswith("/") and not inner.endswith("/") else ""
    return inner + slash + path[len(fixed) :], "" if scheme == "file" else f"{scheme}://", filesystem


def filesystem_of(uri: str) -> tuple[Any, str]:
    """Arrow's filesystem for a URI, and the path in it."""
    return fs.FileSystem.from_uri(uri)


def _unreachable(given, error):
    # Arrow names the cause, but over many lines of the cloud's own words.
    cause = " ".join(str(error).split())[:300]
    return OSError(
        f"{given!r} cannot be reached ({cause}). Check the address, the credentials and the network."
    )


def _find(place):
    try:
        files = _single(place) or _matching(place) or _beneath(place)
    except (pa.ArrowException, OSError) as error:
        if place.local:
            raise
        raise _unreachable(place.given, error) from error
    if files:
        return files
    raise InputError(_nothing(place))


def _single(place):
    found = stamp(place.filesystem, place.path) if not _is_folder(place) else None
    return [_file(place, place.path, found, ())] if found is not None else []


def _matching(place):
    """The files that a pattern matches."""
    if not _is_pattern(place.path):
        return []
    root = _fixed_part(place.path)
    if place.local:
        _require_readable(root)
        found = glob.iglob(place.path, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
        paths = [path for path in found if not Path(path).is_dir()]
    else:
        rest = place.path[len(root) :].lstrip("/")
        wanted = re.compile(_as_regex(rest))
        listed = _listed(place.filesystem, root, recursive="/" in rest or "**" in rest)
        paths = [path for path in listed if wanted.fullmatch(path[len(root) :].lstrip("/"))]
    plain = PurePosixPath(place.path).name[:1] not in {".", "_"}
    return _files(place, root, [path for path in paths if not (plain and _is_hidden(path[len(root) :]))])


def _require_readable(folder):
    """Raise the OSError of a folder that is there and cannot be listed: to glob it is empty."""
    if Path(folder).is_dir():
        with os.scandir(folder or "."):
            pass


def _beneath(place):
    """The files of a folder and of the folders in it."""
    if not _is_folder(place):
        return []
    root = place.path.rstrip("/") or "/"
    paths = _walked(root) if place.local else _listed(place.filesystem, root, recursive=True)
    return _files(place, root, [path for path in paths if not _is_hidden(path[len(root) :])])


def _walked(root):
    """The paths of all files beneath a local folder, hidden folders left out; one that cannot be read is an OSError."""
    for folder, folders, names in os.walk(root, onerror=_raise):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        yield from (str(Path(folder, name)) for name in names)


def _raise(error):
    raise error


def _files(place, root, paths):
    paths = sorted(paths, key=natural)
    return [_file(place, path, stamp(place.filesystem, path), _keys(path[len(root) :])) for path in paths]


def _file(place, path, found, keys):
    if found is None:
        raise InputError(f"{place.prefix}{path} went away while the files were being listed. Start again.")
    compression = COMPRESSIONS.get(PurePosixPath(path.lower()).suffix)
    identity = str(Path(path).absolute()) if place.local else path
    return File(place.prefix + path, identity, found, place.filesystem, keys, compression)


def _listed(filesystem, root, recursive):
    selector = fs.FileSelector(root, recursive=recursive, allow_not_found=True)
    return [info.path for info in filesystem.get_file_info(selector) if info.type == fs.FileType.File]


def _is_folder(place):
    if place.local:
        return Path(place.path).is_dir()
    return place.filesystem.get_file_info(place.path.rstrip("/")).type == fs.FileType.Directory


def _is_pattern(path):
    return any(character in path for character in "*?[")


def _fixed_part(pattern):
    """The folder in which a pattern begins to be one."""
    fixed = re.match(r"[^*?\[]*/", pattern)
    return fixed[0].rstrip("/") if fixed else ""


def _as_regex(pattern):
    """What glob means, as a regular expression: `*` stays within a folder, `**/` is any number of them."""
    meanings = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[!?[^\]]+\])", pattern)
    return "".join(
        meanings.get(part) or (part.replace("[!", "[^") if part[:1] == "[" else re.escape(part))
        for part in parts
        if part
    )


def _is_hidden(path):
    return any(part[:1] in {".", "_"} and "=" not in part for part in path.split("/"))


def _keys(path):
    """The keys and values in the names of folders, as Hive and Spark write them."""
    pairs = (folder.split("=", 1) for folder in path.split("/")[:-1] if "=" in folder)
    return tuple((unquote(key), None if value == HIVE_NULL else unquote(value)) for key, value in pairs)


def _nothing(place):
    """Why nothing was found, in words that help to find it."""
    if _is_pattern(place.path):
        message = (
            f"The pattern {place.given!r} matches no file. Names that begin with '.' or '_' are left out"
        )
        return f"{message}; put a pattern in quotes, or the shell expands it." + _where(place)
    if _is_folder(place):
        return f"The folder {place.given!r} holds no files, those whose names begin with '.' or '_' left out."
    path = PurePosixPath(place.path)
    folder = str(path.parent)
    siblings = []
    if place.local and Path(folder).is_dir():
        siblings = sorted(entry.name for entry in Path(folder).iterdir())
    near = nearest(path.name, siblings, cutoff=0.75)
    if near is not None:
        return f"There is no file {place.given!r}. Did you mean {str(PurePosixPath(folder, near))!r}?"
    return f"There is no file {place.given!r}. Check the path." + _where(place)


def _where(place):
    return (
        f" The current folder is {str(Path.cwd())!r}."
        if place.local and not Path(place.path).is_absolute()
        else ""
    )
