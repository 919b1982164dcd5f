"""The profile `studio`, whole: the demo video in, a finished MKV out, on a CPU.

Every engine is the real one, with its real loading code, in its own process. Only the models are
small: they lie on a hub on loopback under their real public names.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.demo import scene
from dubarr_pipeline.demo.video import demo_video
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline.media.container.streams import MediaInfo
from dubarr_pipeline.models import store
from dubarr_pipeline_tests.fakes.tiny.building import built
from dubarr_pipeline_tests.fakes.tiny.demo_film import SYNOPSIS
from dubarr_pipeline_tests.fakes.tiny.hub import COMMIT, Hub, running_hub
from dubarr_pipeline_tests.fixtures.bench import Answer, Bench, write_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

ROOT = Path(__file__).resolve().parents[2]
DEMUCS = "htdemucs_ft"
FROM_HUB = (
    "pyannote/speaker-diarization-community-1",
    "Systran/faster-whisper-large-v3",
    "Qwen/Qwen2.5-7B-Instruct",
    "coqui/XTTS-v2",
)
SETTINGS = {
    "models": {"accept_licences": ["CPML"]},
    # The tiny Whisper has one text, with the pauses in it, on the clock of the speech alone.
    "transcript": {"passage_pause_s": 6.0, "passage_margin_s": 0.0},
    # It would hear that text in every take, too.
    "production": {"word_error": 0.0},
}


@dataclass(frozen=True)
class Studio:
    """What the commands said, and what they left."""

    bench: Bench
    doctor: Answer
    pulled: Answer
    dubbed: Answer
    models: Path
    asked_by_pull: int
    hub: Hub

    def document(self, name: str) -> dict[str, Any]:
        return json.loads((self.bench.work.root / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that holds the tiny models under their public names."""
    root = tmp_path_factory.mktemp("hub")
    demo = built("demo_film", tmp_path_factory)
    tiny = (
        built("pyannote", tmp_path_factory),
        demo / "whisper",
        demo / "llm",
        built("xtts", tmp_path_factory),
    )
    for name, folder in zip(FROM_HUB, tiny, strict=True):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(folder)
    plain = root / "files" / "example.org"
    shutil.copytree(built("demucs", tmp_path_factory), plain)
    with running_hub(root) as running:
        yield running


@pytest.fixture(scope="module")
def studio(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """The demo video, dubbed by three commands in processes of their own."""
    folder = tmp_path_factory.mktemp("studio")
    models = folder / "models"
    _own_demucs(hub, models)
    config = write_config(folder / "dubarr.toml", SETTINGS)
    config.write_text(f'profile = "studio"\n{config.read_text()}')
    bench = Bench(folder / "work", config)
    environment = {**hub.environment(), "DUBARR_MODELS_DIR": str(models), "PYTHONPATH": str(ROOT)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**environment, "HF_HOME": str(folder / "hf")}.items():
            patch.setenv(name, value)
        for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "DUBARR_OFFLINE"):
            patch.delenv(name, raising=False)
        doctor = _run(bench, "doctor", "--profile", "studio")
        pulled = _run(bench, "models", "pull", "--profile", "studio")
        asked = len(hub.asked)
        film = demo_video(folder / "library")
        dubbed = _run(bench, "dub", "--profile", "studio", "--to", "es", film)
    assert dubbed.code == 0, dubbed.both
    return Studio(bench, doctor, pulled, dubbed, models, asked, hub)


def _own_demucs(hub: Hub, models: Path) -> None:
    """Demucs' files are named by their checksums, so that the tiny one cannot have the real names.

    A person's own row takes the place of the manifest's, as it would for weights of their own.
    """
    (weights,) = (hub.root / "files" / "example.org").glob("*.th")
    signature = weights.name.partition("-")[0]
    models.mkdir()
    (models / "models.toml").write_text(
        f'[models.{DEMUCS}]\nlicence = "MIT"\ncommercial = true\n'
        f'urls = ["https://example.org/{weights.name}"]\n'
        f'texts."{DEMUCS}.yaml" = "models: [{signature}]"\n',
        encoding="utf-8",
    )


def _run(bench: Bench, *arguments: str | Path) -> Answer:
    process = bench.start(*arguments)
    out, err = process.communicate()
    return Answer(process.returncode, out, err)


def test_what_is_missing_is_listed_with_its_size_and_how_to_get_it(studio: Studio):
    assert studio.doctor.code == 3
    assert f"{len(FROM_HUB) + 1} missing" in studio.doctor.out
    for name in (DEMUCS, *FROM_HUB):
        assert f"→ dubarr models pull {name}" in studio.doctor.out
    assert "about 15200 MB" in studio.doctor.out
    assert "accepting its conditions at https://huggingface.co/pyannote" in studio.doctor.out


def test_the_real_names_load_the_tiny_models(studio: Studio):
    assert studio.pulled.code == 0, studio.pulled.both
    for name in (DEMUCS, *FROM_HUB):
        assert f"{name}: here" in studio.pulled.out
    asked = {request.path for request in studio.hub.asked}
    for name in FROM_HUB:
        assert any(path.startswith(f"/{name}/resolve/{COMMIT}/") for path in asked)


def test_the_run_itself_asks_the_hub_for_nothing(studio: Studio):
    assert len(studio.hub.asked) == studio.asked_by_pull


def test_the_finished_film_has_the_original_streams_and_the_dub(studio: Studio):
    source = probe(studio.bench.work_dir.parent / "library" / "The Light on the Island.mkv")
    made = probe(studio.bench.work.muxed)
    before, after = (_streams(each) for each in (source, made))
    assert after[: len(before)] == before
    new = [(kind, language) for kind, _, language in after[len(before) :]]
    assert new == [("audio", "es"), ("subtitle", "es")]
    proven = studio.document("report.json")["streams"]
    assert len(proven) == len(after)
    assert {row["offset_us"] for row in proven} == {0}


def _streams(film: MediaInfo) -> list[tuple[str, str, str | None]]:
    """Kind, codec and language of all that plays; attachments come last in any file."""
    return [(s.kind, s.codec, s.language) for s in film.streams if s.kind != "attachment"]


def test_every_line_is_placed_or_failed_by_name(studio: Studio):
    script = studio.document("transcription.json")["segments"]
    lines = studio.document("segments.json")["languages"]["es"]
    assert [line["index"] for line in lines] == [line["index"] for line in script]
    assert all(
        line["outcome"] == "placed" or line["outcome"].startswith("failed:") for line in lines
    )
    assert sum(line["outcome"] == "placed" for line in lines) >= len(scene.LINES) // 2
    assert studio.document("segments.json")["stats"]["tokens"] > 0


def test_what_was_heard_and_understood_is_what_the_models_say(studio: Studio):
    transcript = studio.document("transcription.json")
    assert transcript["language"] == "en"
    heard = " ".join(line["text"] for line in transcript["segments"])
    assert heard.startswith(" ".join(line.text for line in scene.LINES[:3]))
    first = transcript["segments"][0]["words"][0]
    assert abs(first["start"] - scene.LINES[0].start_s) < 0.3
    context = studio.document("context.json")
    assert context["synopsis"] == SYNOPSIS
    assert not context["gaps"]


def test_results_depend_on_the_very_weights(studio: Studio, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DUBARR_MODELS_DIR", str(studio.models))
    engines: Mapping[str, str] = {
        "diarization.json": FROM_HUB[0],
        "context.json": FROM_HUB[2],
    }
    for document, name in engines.items():
        identity = store.model_identity(name)
        assert f"{name}@{COMMIT[:12]}#" in identity
        assert identity in studio.document(document)["engine"]


def test_all_memory_is_given_back_and_no_process_is_left(studio: Studio):
    memory = studio.document("report.json")["memory"]
    assert {"vocals", "diarization", "transcript", "context", "segments"} <= set(memory)
    assert all(stage["kept"]["child_bytes"] == 0 for stage in memory.values())
    assert not any(stage["faults"] for stage in memory.values())
    assert _processes_of(studio.bench) == []


def _processes_of(bench: Bench) -> list[str]:
    """The processes that were started for this work folder and still run."""
    mark = f"DUBARR_WORK_DIR={bench.work_dir}".encode()
    found: list[str] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if mark in environment and folder.name != str(os.getpid()):
            found.append(command)
    return found
