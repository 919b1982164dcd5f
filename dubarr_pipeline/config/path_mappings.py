r"""Paths of one file as several programs name them.

A container, a Windows machine or a share shows the same folder under another path: ``/tv``,
``D:\TV``, ``\\nas\tv``. Webhooks are read with such mappings, and media servers addressed.
"""

from collections.abc import Iterable
from pathlib import PurePath, PurePosixPath, PureWindowsPath


def mapped_path(path: str, mappings: Iterable[tuple[str, str]]) -> str | None:
    """Return another program's name of a path; None if no mapping's first folder holds it.

    Each mapping is a folder as `path` would name it, and as the other program does. The deepest
    folder that holds the path counts; separators and the case of letters are those of its system.
    """
    given = pure_path(path)
    fitting = [
        (pure_path(ours), theirs) for ours, theirs in mappings if is_below(given, pure_path(ours))
    ]
    if not fitting:
        return None
    folder, theirs = max(fitting, key=lambda pair: len(pair[0].parts))
    return str(pure_path(theirs).joinpath(*given.relative_to(folder).parts))


def pure_path(path: str) -> PurePath:
    r"""Return a path in the flavour of its system: ``D:\TV`` and ``\\nas\tv`` are of Windows."""
    windows = PureWindowsPath(path)
    return windows if windows.drive else PurePosixPath(path)


def is_below(path: PurePath, folder: PurePath) -> bool:
    """Return whether a folder holds a path, both of the same system."""
    return type(path) is type(folder) and path.is_relative_to(folder)
