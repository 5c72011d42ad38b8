"""What takes long to make and can be made again: kept in the user's cache folder, by content."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

__all__ = ["cache_folder", "cached", "digest", "find_cached"]


def cache_folder() -> Path:
    """`edgeconv` in $XDG_CACHE_HOME, or in ~/.cache where that is not set; nothing in it is needed for good."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "edgeconv"


def digest(parts: Iterable[str | bytes]) -> str:
    """A name for content: the hash of its parts, of which none can pass into its neighbour."""
    found = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        found.update(len(data).to_bytes(8, "little"))
        found.update(data)
    return found.hexdigest()


def find_cached(kind: str, key: str) -> Path | None:
    """A folder of the cache (see `cached`), or None where it has not been made yet."""
    place = cache_folder() / kind / key
    return place if place.is_dir() else None


def cached(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """A folder of the cache, made on first use.

    Several processes may ask for it at once: each that finds nothing makes it, one is kept, and nobody sees it half
    made.

    Args:
        kind: what it is, a folder's name.
        key: of its content, a folder's name (`digest`).
        make: fills the empty folder it is given; where it raises, nothing is kept.
    """
    place = cache_folder() / kind / key
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{key[:16]}-", dir=place.parent))
    try:
        make(staging)
        staging.rename(place)
    except OSError:
        # Another process was faster.
        if not place.is_dir():
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return place
