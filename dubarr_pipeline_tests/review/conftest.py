"""One finished film with real sounds, and a browser's view of the server."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from dubarr_pipeline.config.settings import parse_settings
from dubarr_pipeline.library.videos import save_video
from dubarr_pipeline.media.audio.wav import write_wave
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.review.access import SESSION, Names
from dubarr_pipeline.review.answers import GateAnswer
from dubarr_pipeline.review.app import review_app
from dubarr_pipeline.review.room import Backstage, ReviewRoom
from dubarr_pipeline.workdir.identity import identify
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fixtures import finished_work

KEY = "film-0123abcd"
TOKEN = "0123456789abcdef" * 4
HERE = "http://127.0.0.1:8766"


def backstage(**changes: object) -> Backstage:
    """The rest of dubarr, which has nothing to do."""
    calls = {
        "states": lambda keys: dict.fromkeys(keys, "DONE"),
        "is_running": lambda _: False,
        "render": lambda _: None,
        "fault": lambda _: "",
        "gate": lambda _: GateAnswer("passed"),
        "decide": lambda *_: None,
        "qc_sheet": lambda _: "<p>sheet</p>",
    }
    return Backstage(**{**calls, **changes})  # type: ignore[arg-type]


def sound(work: WorkDir, path: Path, frequency_hz: float) -> np.ndarray:
    """Write a stem of two different channels; return it."""
    time = np.arange(finished_work.SAMPLES) / finished_work.RATE
    left = 0.4 * np.sin(2 * np.pi * frequency_hz * time)
    samples = np.stack((left, 0.5 * left)).astype(np.float32)
    write_wave(path, samples, finished_work.RATE)
    return samples


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work folder of all films, with a finished one in it; not to be changed."""
    folder = tmp_path_factory.mktemp("review") / "work"
    root = folder / KEY
    takes = root / "segments" / "takes"
    takes.mkdir(parents=True)
    write_wave(takes / "x.wav", np.full(400, 0.25, np.float32), finished_work.RATE)
    work = finished_work.make_work(root)
    voice, bed = sound(work, work.vocals, 400.0), sound(work, work.accompaniment, 90.0)
    both = takes / "both.wav"
    write_wave(both, voice + bed, finished_work.RATE)
    # The encoder's delay is left out of its input, as the mix does it.
    early = ["-af", "aresample=48000,atrim=start_sample=256,asetpts=N/SR/TB"]
    coded = ["-c:a", "ac3", "-b:a", "192k", "-y", ffmpeg.file_url(work.track("es"))]
    ffmpeg.run(["-i", ffmpeg.file_url(both), *early, *coded])
    source = folder.parent / "Film <b>one.mkv"
    picture = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=5:duration=8", "-pix_fmt", "yuv420p"]
    ffmpeg.run([*picture, "-c:v", "libx264", "-preset", "ultrafast", ffmpeg.file_url(source)])
    video = replace(finished_work.video(work), source=source, identity=identify(source))
    save_video(video, folder)
    return folder


@pytest.fixture
def room(finished: Path, tmp_path: Path) -> ReviewRoom:
    """The server's room over a copy of the finished film."""
    folder = tmp_path / "work"
    shutil.copytree(finished, folder)
    # An engine with voices of its own to choose from.
    settings = parse_settings({"synthesis": {"engine": "kokoro"}}, folder)
    return ReviewRoom(settings, backstage())


def client_of(room: ReviewRoom, names: Names | None = None, base: str = HERE) -> TestClient:
    """A browser with a session on the server."""
    app = review_app(room, TOKEN, names or Names.of("127.0.0.1", ""))
    client = TestClient(app, base_url=base, headers={"Origin": base})
    told = client.post(SESSION, json={}, headers={"Authorization": f"Bearer {TOKEN}"})
    assert told.status_code == 200
    return client


@pytest.fixture
def client(room: ReviewRoom) -> TestClient:
    return client_of(room)
