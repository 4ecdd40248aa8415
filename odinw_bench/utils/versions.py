"""Whether files are still the same, without reading them: for what a process remembers of their contents."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

PathVersion = tuple[str | tuple[str | int, ...], ...]
"""An absolute path, then of each file its name, size, inode and times of change."""


def path_version(path: str | Path) -> PathVersion:
    """The version of a file, or of the files that lie in a folder; folders in it are not looked into.

    Args:
        path: a relative one is another path in another working directory; ``~`` is the home directory.

    Returns:
        a key for a cache; of what does not exist, or cannot be looked at, the path alone.
    """
    place = Path(path)
    with suppress(RuntimeError):  # of a user who has no home here
        place = place.expanduser()
    place = place.absolute()
    try:
        files = sorted(place.iterdir()) if place.is_dir() else [place]
        facts = [(file.name, file.stat()) for file in files if file.exists()]
    except (OSError, ValueError):  # ValueError: no path at all
        return (str(place),)
    seen = ((name, s.st_size, s.st_ino, s.st_mtime_ns, s.st_ctime_ns) for name, s in facts)
    return (str(place), *seen)
