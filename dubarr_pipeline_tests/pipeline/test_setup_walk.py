"""From nothing to a published film by set-up alone: no file is edited, and a second time is still.

The page is walked in a browser, the terminal's command is a process; both against stand-ins.
`docs/screenshots/make` runs this for the picture of the page.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dubarr_pipeline.api.setup import setup_desk
from dubarr_pipeline.config.settings import load_settings
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.defs.runtime.sensor_switches import sensors_off
from dubarr_pipeline.media.container.probe import probe_video
from dubarr_pipeline.review.access import Names
from dubarr_pipeline.review.app import review_app
from dubarr_pipeline.review.room import ReviewRoom
from dubarr_pipeline.services.web import WebServer
from dubarr_pipeline_tests.fixtures.browser import browser
from dubarr_pipeline_tests.fixtures.dagster_server import free_port
from dubarr_pipeline_tests.fixtures.film_shelf import make_shelf
from dubarr_pipeline_tests.fixtures.keyboard import Keyboard
from dubarr_pipeline_tests.fixtures.review_film import TOKEN, backstage
from dubarr_pipeline_tests.fixtures.stand_in_servers import KEYS, StandIn, running

pytestmark = pytest.mark.slow
PICTURES = os.environ.get("DUBARR_PICTURES") and Path(os.environ["DUBARR_PICTURES"]).absolute()


@dataclass
class Home:
    """Somebody's machine, on which nothing is set up, with servers that name folders otherwise."""

    folder: Path
    servers: dict[str, StandIn]

    @property
    def films(self) -> Path:
        return self.folder / "media" / "films"

    @property
    def config(self) -> Path:
        return self.folder / "dubarr.toml"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    for name in [n for n in os.environ if n.startswith(("DUBARR_", "DAGSTER_"))]:
        if name != "DUBARR_PICTURES":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    servers = {
        "radarr": StandIn("radarr", {"/movies": ["Film (2020)"]}),
        "jellyfin": StandIn("jellyfin", {"/movies": []}),
    }
    found = Home(tmp_path, servers)
    make_shelf(found.films / "Film (2020)", ["Film (2020)"])
    with running(*servers.values()):
        yield found


def test_from_nothing_to_a_published_film(home: Home):
    # Only the port differs from a home's: others test here as well.
    home.config.write_text(f"[webhooks]\nport = {free_port()}\n")
    options = [
        *("setup", "--yes", "--films", str(home.films), "--to", "es", "--voices", "lite"),
        *(part for kind, server in home.servers.items() for part in (f"--{kind}", server.url)),
    ]
    environment = {**os.environ, **{f"{kind.upper()}_KEY": KEYS[kind] for kind in home.servers}}

    def run(*more: str) -> str:
        command = [sys.executable, "-m", "dubarr_pipeline.cli.main", *options, *more]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=500, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        said = done.stdout + done.stderr
        assert not [key for key in KEYS.values() if key in said]
        return said

    said = run("--first-film")
    assert "DONE" in said
    dubbed = home.films / "Film (2020)" / "Film (2020) - dubbed.mkv"
    assert [each.language for each in probe_video(dubbed).audio] == ["en", "es"]
    assert home.servers["jellyfin"].told == ["/movies/Film (2020)/Film (2020) - dubbed.mkv"]
    assert len(home.servers["radarr"].hooks) == 1
    work = load_settings(home.config).work_dir
    with open_instance(work) as instance:
        assert sensors_off(instance) == []
    files = {path: path.read_bytes() for path in (home.config, work / ".servers.json")}
    for server in home.servers.values():
        server.written.clear()
    assert "nothing to change" in run()
    assert {path: path.read_bytes() for path in files} == files
    assert [each for s in home.servers.values() for each in s.written] == []


def test_the_page_sets_up_and_shows_what_it_does(home: Home, tmp_path: Path):
    home.config.write_text(f"# mine\n[webhooks]\nport = {free_port()}\n")
    settings = load_settings(home.config, tmp_path / "work")
    room = ReviewRoom(settings, backstage(setup=setup_desk(settings)))
    web = WebServer(review_app(room, TOKEN, Names.of("127.0.0.1", "")), "127.0.0.1", 0)
    thread = threading.Thread(target=web.serve, daemon=True)
    thread.start()
    try:
        with browser() as seen:
            page = Keyboard(seen)
            seen.size(1100, 1180)
            page.go(
                f"{web.url}/setup#token={TOKEN}", "window.setup || document.querySelector('.setup')"
            )
            _walk(page, home)
            if PICTURES:
                seen.shoot(PICTURES / "setup.png")
            page.click("Do all this")
            page.wait("document.querySelector('.first')?.innerText.includes('First film')")
            assert page.read("[...document.querySelectorAll('.outcome-card .bad')].length") == 0
            assert page.read("document.querySelector('[name=radarr-key]').value") == ""
            page.click("Show what would change")
            page.wait("document.body.innerText.includes('Nothing to change')")
            text = page.read("document.documentElement.outerHTML")
            assert not [key for key in KEYS.values() if key in text]
            assert seen.exceptions == []
    finally:
        web.stop()
        thread.join()
        web.close()
        room.close()
    assert home.config.read_text().startswith("# mine\n")
    assert len(home.servers["radarr"].hooks) == 1
    assert "films" in load_settings(home.config).libraries


def _walk(page: Keyboard, home: Home) -> None:
    """Fill the page in by keys, test a server with a wrong and a right key, and see the plan."""

    def write(name: str, words: str) -> None:
        page.read(f"document.querySelector('[name={name}]').select()")
        page.read(f"document.querySelector('[name={name}]').focus()")
        page.write(words)

    write("radarr-url", home.servers["radarr"].url)
    write("radarr-key", "wrong" * 4)
    page.read("document.querySelector('[aria-label=\"Test Radarr\"]').focus()")
    page.press("Enter")
    told = "document.querySelector('[data-kind=radarr]').innerText"
    page.wait(f"{told}.includes('refuses the key')")
    write("radarr-key", KEYS["radarr"])
    page.read("document.querySelector('[aria-label=\"Test Radarr\"]').focus()")
    page.press("Enter")
    page.wait(f"{told}.includes('/movies')")
    write("jellyfin-url", home.servers["jellyfin"].url)
    write("jellyfin-key", KEYS["jellyfin"])
    write("folders", str(home.films))
    write("targets", "es")
    page.click("Show what would change")
    page.wait("document.body.innerText.includes('This would change')")
    assert not home.servers["radarr"].hooks
    assert page.read("[...document.querySelectorAll('.outcome-card .bad')].length") == 0
