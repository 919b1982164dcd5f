"""The profile `laptop`: a film without subtitles, on a CPU, without an account."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import onnx
import pytest

from dubarr_pipeline.compute.child_process import EngineChild
from dubarr_pipeline.engines.registry import PROFILES, row
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline.models.manifest import find_model
from dubarr_pipeline_tests.fakes.tiny.m2m100 import SAYS
from dubarr_pipeline_tests.fixtures.bench import TWO_LINES, Bench, Film, make_film, sidecar, srt


@pytest.mark.slow
@pytest.mark.parametrize("translator", ["bergamot", "m2m100"])
def test_a_film_without_subtitles_is_heard_translated_and_spoken(
    tmp_path: Path,
    tiny_whisper: Path,
    tiny_kokoro: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    translator: str,
):
    loaded = list[str]()

    class CountedChild(EngineChild):
        def load(self) -> None:
            loaded.append(self.name)
            super().load()

    monkeypatch.setattr("dubarr_pipeline.engines.laddered_child.EngineChild", CountedChild)
    film = make_film(tmp_path / "library" / "film.mkv", Film(subtitles=False))
    config = tmp_path / "dubarr.toml"
    chosen = f'models = "{request.getfixturevalue("tiny_marian")}"'
    if translator == "m2m100":
        chosen = f'engine = "m2m100"\nmodel = "{request.getfixturevalue("tiny_m2m100")}"'
    config.write_text(
        f'profile = "laptop"\n[transcript]\nmodel = "{tiny_whisper}"\n'
        f'[translation]\n{chosen}\n[synthesis]\nmodel = "{tiny_kokoro}"\n'
    )
    bench = Bench(tmp_path / "work", config)
    answer = bench.dub(film)
    assert answer.code == 0, answer.both
    script = json.loads(bench.work.transcription.read_text())["segments"]
    heard = " ".join(line["text"] for line in script)
    assert heard == " ".join(line.text for line in TWO_LINES)
    # The recogniser hears the film; a voice that repeats itself is not judged by its takes.
    assert loaded == ["faster-whisper"]
    report = json.loads(bench.work.segments_report.read_text())
    assert report["engines"]["listener"].startswith("faster-whisper/")
    lines = report["languages"]["es"]
    assert [line["outcome"] for line in lines] == ["placed", "placed"]
    # The voice's own speed hits the length: no line is spoken twice.
    assert [len(line["takes"]) for line in lines] == [1, 1]
    said = {word.strip(".,!¡").lower() for line in lines for word in line["text"].split()}
    assert said == set(SAYS["es"].split())
    assert [s.language for s in probe(bench.work.muxed).streams if s.kind == "audio"] == [
        "en",
        "es",
    ]
    if translator == "bergamot":
        # A voice that draws random numbers may say other words: it is listened to.
        drawn = drawing(tiny_kokoro, tmp_path)
        config.write_text(config.read_text().replace(str(tiny_kokoro), str(drawn)))
        assert bench.dub(film).code == 0
        assert bench.made() == ("segments", "mix", "mux", "report")
        assert loaded == ["faster-whisper"] * 2
        lines = json.loads(bench.work.segments_report.read_text())["languages"]["es"]
        assert all(take["heard"] for line in lines for take in line["takes"])


def drawing(model: Path, folder: Path) -> Path:
    """Return a copy of a Kokoro model that draws a random number."""
    copy = shutil.copytree(model, folder / "drawing")
    (path,) = copy.rglob("*.onnx")
    network = onnx.load(path)
    node = onnx.helper.make_node("RandomNormal", [], ["noise"], shape=[1])
    network.graph.node.insert(0, node)
    onnx.save(network, path)
    return copy


def test_a_model_that_the_film_needs_is_named_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DUBARR_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("DUBARR_OFFLINE", "1")
    film = make_film(tmp_path / "library" / "film.mkv", Film())
    config = tmp_path / "dubarr.toml"
    config.write_text('[translation]\nengine = "bergamot"\n')
    bench = Bench(tmp_path / "work", config)
    answer = bench.dub(film)
    assert answer.code == 3
    assert "dubarr models pull bergamot/en-es (about 26 MB, MPL-2.0)" in answer.both
    assert not list((tmp_path / "work").rglob("vocals.wav"))
    # Subtitles in the language make the model needless.
    sidecar(film, "es").write_text(srt(TWO_LINES), encoding="utf-8")
    answer = bench.dub(film)
    assert answer.code == 0, answer.both


def test_it_asks_for_no_account_and_half_a_gigabyte(tmp_path: Path):
    config = tmp_path / "dubarr.toml"
    config.write_text('profile = "laptop"\n')
    found = Bench(tmp_path / "work", config).run("doctor", "--from", "en", "--to", "es")
    names = [line.split()[2] for line in found.out.splitlines() if "dubarr models pull" in line]
    models = [find_model(name) for name in names]
    assert len(models) == 3
    assert not any(model.gated for model in models)
    assert all(model.commercial for model in models)
    assert "bergamot/en-es" in names
    assert 400 < sum(model.about_mb for model in models) < 700
    assert all(row(kind, name).commercial for kind, name in PROFILES["laptop"].items())
