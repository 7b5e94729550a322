"""Networks that come with fallline. Importing this costs nothing; its modules import PyTorch."""

from __future__ import annotations

from importlib.util import find_spec

from fallline.errors import MissingDependencyError

__all__ = ["require_torch"]


def require_torch() -> None:
    """Raise `MissingDependencyError` if PyTorch is not installed."""
    if find_spec("torch") is None:
        raise MissingDependencyError(
            'Networks are trained by PyTorch, which is not installed. Install it: pip install "fallline[torch]"'
        )
