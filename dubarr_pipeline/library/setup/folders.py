"""Folders that other servers name, found again among our own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dubarr_pipeline.config.path_mappings import mapped_path, pure_path
from dubarr_pipeline.library.setup.servers import RootFolder

_MOST_FOLDERS = 500


def our_folder(
    root: RootFolder, libraries: Sequence[Path], known: Mapping[str, str]
) -> Path | None:
    """Return our name of a server's folder; None if it cannot be told.

    By what a person or another server said (`known`: theirs and ours), else because it is here
    under the same name, else because the films that the server has in it are here, else because
    one folder alone is called like it.
    """
    if (said := mapped_path(root.path, known.items())) and Path(said).is_dir():
        return Path(said)
    same = Path(root.path)
    if any(same.is_relative_to(each) for each in libraries) and same.is_dir():
        return same
    candidates = list(dict.fromkeys(_candidates(libraries)))
    scores = {each: sum((each / name).exists() for name in root.names) for each in candidates}
    best = sorted(candidates, key=lambda each: scores[each], reverse=True)[:2]
    if best and scores[best[0]] and (len(best) == 1 or scores[best[0]] > scores[best[1]]):
        return best[0]
    name = pure_path(root.path).name.casefold()
    called = [each for each in candidates if each.name.casefold() == name]
    return called[0] if len(called) == 1 else None


def _candidates(libraries: Iterable[Path]) -> Iterable[Path]:
    for library in libraries:
        yield library
        try:
            inside = sorted(each for each in library.iterdir() if each.is_dir())
        except OSError:
            continue
        yield from inside[:_MOST_FOLDERS]
