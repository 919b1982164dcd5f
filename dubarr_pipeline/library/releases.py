"""Releases of one film or episode: their names differ by quality, their titles do not."""

import re
from contextlib import suppress
from pathlib import Path

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.library.publishing.records import read_publication
from dubarr_pipeline.library.videos import (
    EPISODE,
    Video,
    is_superseded,
    load_video,
    plain_words,
    registered,
)

_YEAR = re.compile(r"(?<![0-9])(?:19|20)[0-9]{2}(?![0-9p])")


def release_title(stem: str) -> str | None:
    """Return what the releases of one film or episode have in common: title and year, or code.

    None where a name has neither: nothing is concluded from it.
    """
    if found := EPISODE.search(stem):
        return f"{plain_words(stem[: found.start()])} {found.group().lower()}".strip()
    # The first year may be the title: "2012 (2009)".
    years = [each for each in _YEAR.finditer(stem) if each.start()]
    return plain_words(stem[: years[0].end()]) if years else None


def find_earlier_release(path: Path, work_dir: Path) -> Video | None:
    """Return the video of an earlier release whose file gave way to the one at `path`, or None.

    It lay in the same folder, under a name of the same title, and its file is gone.
    """
    title = release_title(path.stem)
    if title is None:
        return None
    words = title.split()
    found: list[tuple[float, Video]] = []
    for key in registered(work_dir, lambda key: all(word in key for word in words[:3])):
        with suppress(ArtifactError):
            video = load_video(key, work_dir)
            work = video.work(work_dir)
            publication = read_publication(work)
            place, ours = video.source, list[Path]()
            if publication and publication.mode == "replace":
                # In a film's place lies its dub, which has gone with the release.
                place, ours = publication.source, [file.path for file in publication.files]
            same = place.parent == path.parent and release_title(place.stem) == title
            if not same or place == path or is_superseded(work):
                continue
            if not any(each.exists() for each in (place, *ours)):
                found.append((work.video.stat().st_mtime, video))
    return max(found, key=lambda each: each[0])[1] if found else None
