from __future__ import annotations

from pathlib import Path, PurePath

import pytest

from dubarr_pipeline.config.libraries import (
    Listed,
    Rules,
    listed_reason,
    missing_targets,
    spoken_reason,
)
from dubarr_pipeline.media.container.streams import MediaInfo, Stream

NOW_S = 1_000_000.0


def listed(below: str = "a.mkv", size: int = 5_000_000, age_minutes: float = 60) -> Listed:
    return Listed(PurePath(below), size, NOW_S - 60 * age_minutes)


@pytest.mark.parametrize(
    ("rules", "video", "words"),
    [
        (Rules(), listed(size=0, age_minutes=0), None),
        (Rules(include=("*.MKV",)), listed("Deep/A.mkv"), None),
        (Rules(include=("*/season */*",)), listed("Show/Season 01/e1.mkv"), None),
        (Rules(include=("*/season */*",)), listed("Show/Extras/e1.mkv"), "none of the patterns"),
        (Rules(exclude=("*sample*",)), listed("A/Sample.mkv"), "excluded pattern '*sample*'"),
        (Rules(exclude=("*sample*",)), listed("A/film.mkv"), None),
        (Rules(min_size_mb=5), listed(size=5_000_000), None),
        (Rules(min_size_mb=5), listed(size=4_999_999), "less than min_size_mb = 5"),
        (Rules(max_size_mb=5), listed(size=5_000_000), None),
        (Rules(max_size_mb=5), listed(size=5_000_001), "more than max_size_mb = 5"),
        (Rules(min_age_minutes=60), listed(age_minutes=60), None),
        (Rules(min_age_minutes=60), listed(age_minutes=59.9), "min_age_minutes = 60"),
        (Rules(min_age_minutes=60), listed(age_minutes=-5), None),
    ],
)
def test_what_the_listing_tells(rules: Rules, video: Listed, words: str | None):
    found = listed_reason(rules, video, NOW_S)
    assert (found is None) == (words is None), found
    assert words is None or words in str(found)


@pytest.mark.parametrize(
    ("spoken", "words"),
    [("en", None), ("en-GB", None), ("fr", "spoken in French"), (None, "language is unknown")],
)
def test_only_some_source_languages(spoken: str | None, words: str | None):
    found = spoken_reason(Rules(source_langs=("eng",)), spoken)
    assert (found is None) == (words is None)
    assert words is None or words in str(found)
    assert spoken_reason(Rules(), spoken) is None


def test_a_language_that_is_there_is_not_made_again():
    info = media(("en", ""), ("es-419", "Latino"), ("ca", "Comentarios del director"))
    wished = ("es", "ca", "en", "fr")
    assert missing_targets(Rules(), info, "en", wished) == ("ca", "fr")
    kept = Rules(skip_existing_audio=False)
    assert missing_targets(kept, info, "en", wished) == ("es", "ca", "fr")


def media(*tracks: tuple[str, str]) -> MediaInfo:
    streams = tuple(
        Stream(index, "audio", "ac3", language=language, title=title or None)
        for index, (language, title) in enumerate(tracks)
    )
    return MediaInfo(Path("a.mkv"), "matroska", 10.0, 0.0, streams)


def test_rules_that_nothing_could_pass_are_refused():
    with pytest.raises(ValueError, match="max_size_mb is below min_size_mb"):
        Rules(min_size_mb=9, max_size_mb=8)
