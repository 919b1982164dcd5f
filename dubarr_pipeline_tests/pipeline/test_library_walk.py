"""The walk of docs/library.md: every command is read from the page, and typed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dubarr_pipeline.media.container.probe import probe_video
from dubarr_pipeline_tests.fixtures.bench import sidecar
from dubarr_pipeline_tests.fixtures.dagster_server import ROOT, Server, free_port
from dubarr_pipeline_tests.fixtures.film_shelf import make_shelf
from dubarr_pipeline_tests.fixtures.jellyfin import KEY, StandInJellyfin

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
PAGE = ROOT / "docs" / "library.md"
SECTION = "## From an empty folder to a film in Jellyfin\n"
SERVE = ".venv/bin/dubarr serve library"
_KEEP = '\nexport -p > "$STATE"\n'


def commands() -> list[str]:
    """The blocks of the walk, in their order."""
    text = PAGE.read_text(encoding="utf-8")
    walk = text.partition(SECTION)[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```", walk, flags=re.S | re.M)


@dataclass
class Reader:
    """Somebody with an empty home, who types what the page says.

    Attributes:
        own: what is the reader's own: addresses, which the page names as examples.
        said: what the last block printed.
    """

    home: Path
    jellyfin: StandInJellyfin
    server: Server
    own: dict[str, str] = field(default_factory=dict[str, str])
    said: str = ""

    def environment(self) -> dict[str, str]:
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("DUBARR", "DAGSTER"))}
        kept.pop("XDG_DATA_HOME", None)
        return {**kept, "HOME": str(self.home), "STATE": str(self.home / ".state")}

    def type(self, block: str) -> None:
        """Type a block in the shell that all of them share; each command must succeed."""
        serves = block.startswith(SERVE)
        for word, ours in self.own.items():
            block = block.replace(word, ours)
        script = f'set -euo pipefail\n[ -e "$STATE" ] && . "$STATE"\n{block}'
        with self.server.log.open("ab") as log:
            process = subprocess.Popen(
                ["bash", "-c", script if serves else script + _KEEP],
                cwd=self.home,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log if serves else subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=serves,
            )
        if serves:
            self.server.process = process
            return
        said, _ = process.communicate(timeout=600)
        self.said = said.decode(errors="replace")
        assert process.returncode == 0, f"{block}\n{self.said}"

    def click(self) -> None:
        """Open the UI, and switch on what the page says."""
        self.server.wait(self.server.knows_code, "the UI is there")
        for sensor in ("media_folder", "webhook_inbox"):
            self.server.switch_on(sensor)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".venv").symlink_to(sys.prefix)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    jellyfin = StandInJellyfin()
    jellyfin.start()
    server = Server(home / "media" / "work", supervised=True)
    server.port, server.log = free_port(), home / "serve.log"
    server.log.touch()
    hooks = free_port()
    found = Reader(home, jellyfin, server)
    found.own = {
        "http://127.0.0.1:8096": jellyfin.url,
        SERVE: f"exec {SERVE} --port {server.port}",
        "http://127.0.0.1:8765": f"http://127.0.0.1:{hooks}",
        "\nEND\n": f"\n[webhooks]\nport = {hooks}\n[review]\nport = 0\nEND\n",
    }
    for film, name in zip(
        make_shelf(tmp_path / "shop", ["one", "two"]),
        ("Film (2020)", "Second film (2021)"),
        strict=True,
    ):
        shutil.copy(film, home / f"{name}.mkv")
        shutil.copy(sidecar(film, "en"), home / f"{name}.en.srt")
    yield found
    server.kill()
    jellyfin.stop()


def test_the_walk_leads_to_films_in_jellyfin(reader: Reader) -> None:
    films = reader.home / "media" / "films"
    blocks = commands()
    assert len(blocks) >= 6
    assert KEY in "".join(blocks), "the key of the page's example"
    for block in blocks:
        reader.type(block)
        if "library scan" in block:
            assert "Film (2020).mkv" in reader.said
            assert "NEW" in reader.said
        if "backfill" in block:
            assert "DONE" in reader.said
            assert reader.jellyfin.told == [str(films / "Film (2020) - dubbed.mkv")]
        if block.startswith(SERVE):
            reader.click()
    second = films / "Second film (2021) - dubbed.mkv"
    reader.server.wait(second.is_file, "the second film is published")
    reader.server.wait(lambda: str(second) in reader.jellyfin.told, "Jellyfin is told")
    for dubbed in films.glob("* - dubbed.mkv"):
        assert [each.language for each in probe_video(dubbed).audio] == ["en", "es"]
    for name in ("Film (2020).mkv", "Second film (2021).mkv"):
        assert (films / name).read_bytes() == (reader.home / name).read_bytes()
    assert reader.jellyfin.refused == []
    assert reader.server.process is not None
    os.kill(reader.server.process.pid, signal.SIGINT)
    assert reader.server.process.wait(120) == 0
