from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.library.webhooks.payloads import SENDERS, FileEvent, file_events
from dubarr_pipeline.library.webhooks.titles import TitleEvent

FILM = "/movies/A Film (2020)/A Film.mkv"
EPISODES = ["/tv/Show/S01E01.mkv", "/tv/Show/S01E02.mkv"]


@pytest.mark.parametrize(
    ("sender", "document", "told"),
    [
        (
            "radarr",
            {
                "eventType": "Download",
                "isUpgrade": True,
                "movie": {"folderPath": "/movies/A Film (2020)"},
                "movieFile": {"path": FILM, "relativePath": "A Film.mkv"},
                "deletedFiles": [{"path": "/movies/A Film (2020)/old.mkv"}],
            },
            [FileEvent("arrived", FILM, replaces=("/movies/A Film (2020)/old.mkv",))],
        ),
        (
            "radarr",
            {
                "eventType": "Rename",
                "renamedMovieFiles": [{"path": FILM, "previousPath": "/movies/f.mkv"}],
            },
            [FileEvent("renamed", FILM, "/movies/f.mkv")],
        ),
        (
            "radarr",
            {
                "eventType": "MovieFileDelete",
                "deleteReason": "upgrade",
                "movieFile": {"path": FILM},
            },
            [FileEvent("deleted", FILM)],
        ),
        (
            "sonarr",
            {"eventType": "Download", "episodeFile": {"path": EPISODES[0]}},
            [FileEvent("arrived", EPISODES[0])],
        ),
        (
            "sonarr",
            {"eventType": "ImportComplete", "episodeFiles": [{"path": p} for p in EPISODES]},
            [FileEvent("arrived", p) for p in EPISODES],
        ),
        (
            "sonarr",
            {
                "eventType": "Rename",
                "renamedEpisodeFiles": [{"path": EPISODES[1], "previousPath": EPISODES[0]}],
            },
            [FileEvent("renamed", EPISODES[1], EPISODES[0])],
        ),
        (
            "sonarr",
            {"eventType": "EpisodeFileDelete", "episodeFile": {"path": EPISODES[0]}},
            [FileEvent("deleted", EPISODES[0])],
        ),
        ("generic", {"path": FILM}, [FileEvent("arrived", FILM)]),
        ("generic", {"paths": EPISODES}, [FileEvent("arrived", p) for p in EPISODES]),
        (
            "generic",
            {"event": "renamed", "path": FILM, "previous": "/a"},
            [FileEvent("renamed", FILM, "/a")],
        ),
    ],
)
def test_what_is_told_of_files(sender: str, document: Any, told: list[FileEvent]):
    assert file_events(sender, document) == told


@pytest.mark.parametrize("kind", ["Test", "Grab", "Health", "MovieAdded", "SeriesDelete"])
@pytest.mark.parametrize("sender", ["radarr", "sonarr"])
def test_what_is_no_news_of_a_file_is_taken_without_complaint(sender: str, kind: str):
    assert file_events(sender, {"eventType": kind}) == []


@pytest.mark.parametrize(
    ("sender", "document", "words"),
    [
        ("radarr", [], "JSON object"),
        ("radarr", {}, "eventType is missing"),
        ("radarr", {"eventType": 3}, "eventType is missing"),
        ("radarr", {"eventType": "Download", "path": FILM}, "movieFile.path is missing"),
        ("radarr", {"eventType": "Download", "movieFile": []}, "movieFile must be"),
        ("radarr", {"eventType": "Download", "movieFile": {"path": " "}}, "must be a path"),
        ("sonarr", {"eventType": "Download", "episodeFile": {"path": "a\0b"}}, "must be a path"),
        ("sonarr", {"eventType": "Rename", "renamedEpisodeFiles": "x"}, "list of objects"),
        ("generic", {}, "path of the body must be a path"),
        ("generic", {"event": "burnt", "path": FILM}, "unknown event 'burnt'"),
        ("generic", {"paths": "x"}, "paths must be a list"),
        ("generic", {"paths": [3]}, "must be a path"),
        ("generic", {"event": "renamed", "path": FILM}, "previous of the body"),
    ],
)
def test_what_is_not_understood_is_named(sender: str, document: Any, words: str):
    with pytest.raises(ValueError, match=r".") as found:
        file_events(sender, document)
    assert words in str(found.value)


_NAMES = st.sampled_from(
    "eventType movieFile movieFiles episodeFile episodeFiles path paths event previous "
    "renamedMovieFiles renamedEpisodeFiles previousPath".split()
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
)
_KINDS = st.sampled_from(["Download", "Rename", "MovieFileDelete", "Test", "renamed", ""])


@given(st.sampled_from(SENDERS), st.dictionaries(_NAMES, _JSON, max_size=5), _KINDS)
def test_whatever_comes_is_read_or_named(sender: str, document: dict[str, Any], kind: str):
    if kind:
        document = {**document, "eventType": kind}
    told: list[FileEvent | TitleEvent] = []
    with contextlib.suppress(ValueError):
        told = file_events(sender, document)
    paths = [event.path for event in told if isinstance(event, FileEvent)]
    assert all(path.strip() and "\0" not in path for path in paths)
