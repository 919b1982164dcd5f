"""The report opens by a link from Dagster's UI, and nothing else does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dubarr_pipeline.defs.runtime import report_pages
from dubarr_pipeline.defs.runtime.records import report_address, rounded
from dubarr_pipeline.library.videos import Video, make_video, save_video


@pytest.fixture
def video(tmp_path: Path) -> Video:
    (tmp_path / "film.mkv").write_bytes(b"moving picture")
    video = make_video(
        tmp_path / "film.mkv", tmp_path / "work", target_langs=("es",), profile="lite"
    )
    save_video(video, tmp_path / "work")
    return video


def test_a_report_is_shown_without_scripts(video: Video, tmp_path: Path):
    route = report_pages.report_route(tmp_path / "work")
    client = TestClient(Starlette(routes=[route]))
    address = report_address(video.key)
    assert client.get(address).status_code == 404
    video.work(tmp_path / "work").report_page.write_text("<h1>A film</h1>")
    shown = client.get(address)
    assert (shown.status_code, shown.text) == (200, "<h1>A film</h1>")
    assert shown.headers["content-type"].startswith("text/html")
    assert shown.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert client.post(address).status_code == 405
    for key in ("a-film-00000000", "..", "%2e%2e%2fsecret", video.key.upper()):
        assert client.get(report_address(key)).status_code == 404


def test_the_webserver_is_dagsters_own_with_one_page_more(monkeypatch: pytest.MonkeyPatch):
    from dagster_webserver import app, cli
    from dagster_webserver.webserver import DagsterWebserver

    monkeypatch.setattr(app, "DagsterWebserver", DagsterWebserver)
    monkeypatch.setattr(sys, "argv", ["dagster-webserver"])
    monkeypatch.setattr(cli, "main", lambda: None)
    report_pages.main()
    extended: type[DagsterWebserver] = vars(app)["DagsterWebserver"]
    assert extended is not DagsterWebserver
    assert issubclass(extended, DagsterWebserver)
    server = extended.__new__(extended)
    server._app_path_prefix = ""
    paths = [getattr(route, "path", "") for route in server.build_routes()]
    assert paths[0] == report_address("{key}")
    assert "/graphql" in paths


def test_make_ui_is_dagster_dev_with_this_webserver(monkeypatch: pytest.MonkeyPatch):
    import dagster._cli
    from dagster._cli import dev

    started: list[list[str]] = []
    monkeypatch.setattr(dev, "open_ipc_subprocess", lambda command, **_: started.append(command))
    monkeypatch.setattr(dagster._cli, "main", lambda: None)
    report_pages.develop()
    start = vars(dev)["open_ipc_subprocess"]
    start(["python", "-m", "dagster_webserver", "--port", "1"])
    start(["python", "-m", "dagster._daemon", "run"])
    ours, theirs = started
    assert ours == ["python", "-m", report_pages.__name__, "--port", "1"]
    assert theirs == ["python", "-m", "dagster._daemon", "run"]


def test_figures_are_rounded():
    before = {"seconds": 12.34567, "share": 0.012345, "lines": 12, "word": "es", "muted": False}
    after = {"seconds": 12.35, "share": 0.012, "lines": 12, "word": "es", "muted": False}
    assert rounded(before) == after
