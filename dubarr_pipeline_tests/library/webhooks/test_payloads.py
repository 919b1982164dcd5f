"""Events in the shapes that the programs' own sources build, of all versions that are in use."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dubarr_pipeline.library.webhooks.payloads import FileEvent, file_events, read_body
from dubarr_pipeline.library.webhooks.titles import TitleEvent

FOLDER = "/movies/A Film (2020)"
MOVIE = {
    "id": 1,
    "title": "A Film",
    "year": 2020,
    "folderPath": FOLDER,
    "tmdbId": 27205,
    "tags": ["dub-ca", "kids"],
}
NUMBER = "tvdb-121361"
SERIES = {"id": 2, "title": "Show", "path": "/tv/Show", "tvdbId": 121361, "type": "standard"}
TAGS = ("dub-ca", "kids")


def file(name: str, folder: str = FOLDER, **others: Any) -> dict[str, Any]:
    path = f"{folder}/{name}"
    return {"id": 7, "relativePath": name, "path": path, "quality": "Bluray-1080p", **others}


def without_path(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "path"}


NEW, OLD = f"{FOLDER}/new.mkv", f"{FOLDER}/old.mkv"
RENAMED = {
    **file("new.mkv"),
    "previousRelativePath": "old.mkv",
    "previousPath": OLD,
}
SHOWN = "/tv/Show/Season 01/Show - S01E01.mkv"


@pytest.mark.parametrize(
    ("sender", "document", "told"),
    [
        pytest.param(
            "radarr",
            {
                "eventType": "Download",
                "instanceName": "Radarr",
                "movie": MOVIE,
                "movieFile": file("new.mkv", sourcePath="/downloads/x/new.mkv"),
                "isUpgrade": True,
                "deletedFiles": [file("old.mkv", recycleBinPath="/bin/old.mkv")],
            },
            [FileEvent("arrived", NEW, None, (OLD,), TAGS)],
            id="radarr 5 and 6",
        ),
        pytest.param(
            "radarr",
            {
                "eventType": "Download",
                "movie": MOVIE,
                "movieFile": {"relativePath": "new.mkv", "path": "/downloads/x/new.mkv"},
                "isUpgrade": False,
            },
            [FileEvent("arrived", NEW, None, (), TAGS)],
            id="radarr 3: the path is the download's",
        ),
        pytest.param(
            "radarr",
            {"eventType": "Rename", "movie": MOVIE, "renamedMovieFiles": [RENAMED]},
            [FileEvent("renamed", NEW, OLD, (), TAGS)],
            id="radarr 5.10",
        ),
        pytest.param(
            "radarr",
            {
                "eventType": "Rename",
                "movie": MOVIE,
                "renamedMovieFiles": [without_path(RENAMED)],
            },
            [FileEvent("renamed", NEW, OLD, (), TAGS)],
            id="radarr before 5.10: no path",
        ),
        pytest.param(
            "radarr", {"eventType": "Rename", "movie": MOVIE}, [], id="radarr 3: no files named"
        ),
        pytest.param(
            "radarr",
            {
                "eventType": "MovieFileDelete",
                "movie": MOVIE,
                "movieFile": without_path(file("old.mkv")),
                "deleteReason": "upgrade",
            },
            [FileEvent("deleted", OLD)],
            id="a deletion without a path",
        ),
        pytest.param(
            "radarr",
            {"eventType": "MovieDelete", "movie": MOVIE, "deletedFiles": True},
            [],
            id="the film itself is deleted",
        ),
        pytest.param(
            "sonarr",
            {
                "eventType": "Download",
                "series": {**SERIES, "tags": []},
                "episodeFile": file("Season 01/Show - S01E01.mkv", "/tv/Show"),
                "isUpgrade": False,
                "deletedFiles": None,
            },
            [FileEvent("arrived", SHOWN, None, (), (), series=NUMBER)],
            id="sonarr 4",
        ),
        pytest.param(
            "sonarr",
            {
                "eventType": "Download",
                "series": SERIES,
                "episodeFiles": [
                    file(f"S01E0{n}.mkv", "/tv/Show", sourcePath="/d") for n in (1, 2)
                ],
                "fileCount": 2,
                "sourcePath": "/downloads/Show.S01",
                "destinationPath": "/tv/Show",
            },
            [FileEvent("arrived", f"/tv/Show/S01E0{n}.mkv", series=NUMBER) for n in (1, 2)],
            id="sonarr 4: an import that is complete",
        ),
        pytest.param(
            "sonarr",
            {
                "eventType": "Download",
                "series": {**SERIES, "path": "D:\\TV\\Show"},
                "episodeFile": {"relativePath": "Season 01\\S01E01.mkv"},
            },
            [FileEvent("arrived", "D:\\TV\\Show\\Season 01\\S01E01.mkv", series=NUMBER)],
            id="sonarr on Windows",
        ),
        pytest.param(
            "sonarr",
            {
                "eventType": "EpisodeFileDelete",
                "series": SERIES,
                "episodeFile": {"seriesId": 2, "relativePath": "S01E01.mkv", "mediaInfo": {}},
                "deleteReason": "manual",
            },
            [FileEvent("deleted", "/tv/Show/S01E01.mkv")],
            id="sonarr 3: the file as its database has it",
        ),
        pytest.param(
            "sonarr", {"eventType": "Test", "series": {"path": "C:\\testpath"}}, [], id="a test"
        ),
        pytest.param(
            "bazarr", {"path": SHOWN, "language": "en"}, [FileEvent("arrived", SHOWN)], id="command"
        ),
        pytest.param(
            "bazarr", {"episode": SHOWN}, [FileEvent("arrived", SHOWN)], id="by its own name"
        ),
        pytest.param(
            "bazarr",
            {
                "version": "1.0",
                "title": "Bazarr notification",
                "message": "Show (2019) - S01E02 - A title : English subtitles downloaded from x.",
                "attachments": [],
                "type": "info",
            },
            [TitleEvent("Show", 2019, 1, 2)],
            id="bazarr's notification of an episode",
        ),
        pytest.param(
            "bazarr",
            {"version": "1.0", "message": "A Film: Part 2 (2020) : English subtitles upgraded"},
            [TitleEvent("A Film: Part 2", 2020)],
            id="bazarr's notification of a film",
        ),
        pytest.param("bazarr", {"message": "Test notification"}, [], id="bazarr's test"),
        pytest.param(
            "jellyfin",
            {"NotificationType": "ItemAdded", "ItemType": "Movie", "Name": "x", "Path": SHOWN},
            [FileEvent("arrived", SHOWN)],
            id="a plugin that tells paths",
        ),
        pytest.param(
            "jellyfin",
            {
                "ServerVersion": "10.10.0",
                "NotificationType": "ItemAdded",
                "ItemType": "Movie",
                "Name": "Tom &amp; Jerry",
                "Year": 2021,
                "Provider_tmdb": "587807",
            },
            [TitleEvent("Tom & Jerry", 2021, None, None, ("tmdb-587807",))],
            id="a film",
        ),
        pytest.param(
            "jellyfin",
            {
                "NotificationType": "ItemAdded",
                "ItemType": "Episode",
                "Name": "Pilot",
                "SeriesName": "Show",
                "Year": "2019",
                "SeasonNumber": "1",
                "EpisodeNumber": 2,
                "Provider_tvdb": "1",
            },
            [TitleEvent("Show", 2019, 1, 2)],
            id="an episode",
        ),
        pytest.param(
            "jellyfin",
            {"NotificationType": "ItemDeleted", "ItemType": "Movie", "Name": "x", "Path": OLD},
            [FileEvent("deleted", OLD)],
            id="a deletion",
        ),
        *(
            pytest.param("jellyfin", {"NotificationType": kind, "ItemType": item, "Name": "x"}, [])
            for kind, item in (
                ("PlaybackStart", "Movie"),
                ("ItemAdded", "Audio"),
                ("ItemDeleted", "Movie"),
                ("SubtitleDownloadFailure", "Movie"),
            )
        ),
        pytest.param(
            "overseerr",
            {
                "notification_type": "MEDIA_AVAILABLE",
                "event": "Movie Request Now Available",
                "subject": "A Film (2020)",
                "message": "An overview.",
                "media": {"media_type": "movie", "tmdbId": "27205", "tvdbId": ""},
                "extra": [],
            },
            [TitleEvent("A Film", 2020, None, None, ("tmdb-27205",))],
            id="overseerr",
        ),
        pytest.param(
            "jellyseerr",
            {
                "notification_type": "MEDIA_AVAILABLE",
                "subject": "Show (2011)",
                "media": {"media_type": "tv", "tmdbId": 1399, "tvdbId": 121361},
                "extra": [{"name": "Requested Seasons", "value": "1, 3"}],
            },
            [
                TitleEvent("Show", 2011, season, None, ("tmdb-1399", "tvdb-121361"))
                for season in (1, 3)
            ],
            id="jellyseerr, seasons",
        ),
        *(
            pytest.param("seerr", {"notification_type": kind, "subject": "x"}, [])
            for kind in (
                "TEST_NOTIFICATION",
                "MEDIA_PENDING",
                "MEDIA_AUTO_APPROVED",
                "ISSUE_CREATED",
            )
        ),
        pytest.param(
            "plex",
            {
                "event": "library.new",
                "Metadata": {
                    "librarySectionType": "movie",
                    "type": "movie",
                    "title": "A Film",
                    "year": 2020,
                },
            },
            [TitleEvent("A Film", 2020)],
            id="plex, a film",
        ),
        pytest.param(
            "plex",
            {
                "event": "library.new",
                "Metadata": {
                    "type": "episode",
                    "title": "Pilot",
                    "grandparentTitle": "Show",
                    "parentIndex": 1,
                    "index": 2,
                    "year": 2023,
                },
            },
            [TitleEvent("Show", None, 1, 2)],
            id="plex, an episode",
        ),
        pytest.param(
            "plex",
            {"event": "library.new", "Metadata": {"type": "show", "title": "Show"}},
            [TitleEvent("Show")],
            id="plex, a series",
        ),
        *(
            pytest.param("plex", {"event": kind, "Metadata": {"type": item, "title": "x"}}, [])
            for kind, item in (("media.play", "movie"), ("library.new", "track"))
        ),
    ],
)
def test_what_is_told(sender: str, document: Any, told: list[FileEvent | TitleEvent]):
    assert file_events(sender, json.loads(json.dumps(document))) == told


@pytest.mark.parametrize(
    ("sender", "document", "words"),
    [
        ("bazarr", {}, "path (of the video) and message are both missing"),
        ("bazarr", {"path": 3}, "path of the body must be a path"),
        ("jellyfin", {"Name": "x"}, "NotificationType is missing"),
        ("jellyfin", {"NotificationType": "ItemAdded", "ItemType": "Movie"}, "title is missing"),
        ("overseerr", {"subject": "x"}, "notification_type is missing"),
        ("overseerr", {"notification_type": "MEDIA_AVAILABLE"}, "subject is missing"),
        ("plex", {"Metadata": {}}, "event is missing"),
        ("plex", {"event": "library.new", "Metadata": {"type": "movie"}}, "title is missing"),
        ("radarr", {"eventType": "Rename", "renamedMovieFiles": [{}]}, "path of renamed"),
        (
            "sonarr",
            {"eventType": "Download", "deletedFiles": [3], "series": 3},
            "deletedFiles must",
        ),
    ],
)
def test_what_is_not_understood_is_named(sender: str, document: Any, words: str):
    with pytest.raises(ValueError, match=r".") as found:
        file_events(sender, document)
    assert words in str(found.value)


def test_plex_sends_a_form_with_a_picture():
    body = (
        b'--x\r\nContent-Disposition: form-data; name="payload"\r\n'
        b'Content-Type: application/json\r\n\r\n{"event": "library.new"}\r\n'
        b'--x\r\nContent-Disposition: form-data; name="thumb"; filename="thumb.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n\xff\xd8\x00--\r\n\xff\r\n--x--\r\n"
    )
    found = read_body("plex", body, "multipart/form-data; boundary=x")
    assert json.loads(found) == {"event": "library.new"}
    with pytest.raises(ValueError, match="no field named payload"):
        read_body("plex", b"--x--\r\n", "multipart/form-data; boundary=x")
    assert read_body("plex", b"{}", "application/json") == b"{}"
