"""Voices by a network: the layout of the real files, in the engine and alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from dubarr_pipeline.engines.diarization.cue_clusters import CueClusterOptions, CueClusters
from dubarr_pipeline.engines.diarization.voiceprint_model import VoiceprintModel, filter_banks
from dubarr_pipeline.errors import EngineError
from dubarr_pipeline.models.manifest import find_model
from dubarr_pipeline_tests.fakes.tiny import voiceprints
from dubarr_pipeline_tests.fakes.tiny.onnx_graphs import FLOAT, write
from dubarr_pipeline_tests.fixtures.synthetic_voices import SyntheticVoice, dialogue, speak

RATE = 16000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return voiceprints.build(tmp_path_factory.mktemp("voiceprints"))


def test_filter_banks_are_kaldis() -> None:
    """A tone lies in its own mel band; level moves all bands alike; frames are whole."""
    time = np.arange(RATE) / RATE
    for hz in (200, 1000, 4000):
        tone = np.sin(2 * np.pi * hz * time).astype(np.float32)
        banks = filter_banks(tone)
        assert banks.shape == (98, 80)
        edges = np.linspace(1127 * np.log1p(20 / 700), 1127 * np.log1p(8000 / 700), 82)
        expected = int(np.argmin(np.abs(edges[1:-1] - 1127 * np.log1p(hz / 700))))
        assert abs(int(banks.mean(axis=0).argmax()) - expected) <= 1
        louder = filter_banks(tone * 2)[:, expected] - banks[:, expected]
        assert np.allclose(louder, 2 * np.log(2), atol=1e-3)


def test_a_print_has_length_one_at_any_rate_and_level(folder: Path) -> None:
    model = VoiceprintModel(folder)
    sound = speak(SyntheticVoice(120), 2, RATE)
    found = model.print_of(sound, RATE)
    quiet = model.print_of(sound / np.float32(10), RATE)
    assert found is not None
    assert quiet is not None
    assert np.linalg.norm(found) == pytest.approx(1)
    assert found @ quiet > 0.999
    assert model.print_of(sound[:1000], RATE) is None
    assert model.print_of(np.zeros(RATE, np.float32), RATE) is None


def test_a_folder_without_such_a_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"0 \.onnx files"):
        VoiceprintModel(tmp_path)
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    with pytest.raises(EngineError, match="cannot be loaded"):
        VoiceprintModel(tmp_path)
    node = helper.make_node("Identity", ["x"], ["y"])
    write(tmp_path / "broken.onnx", [node], {"x": (FLOAT, ["n", 40])}, "y", {})
    with pytest.raises(EngineError, match="filter banks"):
        VoiceprintModel(tmp_path)


def test_the_network_decides_where_nothing_is_written(folder: Path) -> None:
    scene = dialogue([SyntheticVoice(110)], [0] * 8, pause_s=0.4)
    with CueClusters(CueClusterOptions(model=str(folder))) as engine:
        found = engine.diarize(scene.sound, scene.speech, [])
    assert len(found.speakers) == 1
    assert set(found.embeddings) == set(found.speakers)
    assert np.linalg.norm(found.embeddings["SPEAKER_00"]) == pytest.approx(1, abs=1e-4)


def test_only_films_without_subtitles_depend_on_the_network(folder: Path) -> None:
    chosen, plain = CueClusters(CueClusterOptions(model=str(folder))), CueClusters()
    assert chosen.unscripted_identity() != plain.unscripted_identity()
    assert plain.identity() == CueClusters(CueClusterOptions()).identity() == "cue-clusters/1/{}"


def test_the_default_network_is_optional_and_a_chosen_one_is_needed(tmp_path: Path) -> None:
    assert [need.kind for need in CueClusters().needs()] == ["package"]
    needs = CueClusters(CueClusterOptions(model="owner/voices")).needs()
    assert [(n.kind, n.present) for n in needs] == [("package", True), ("model", False)]
    row = find_model("campplus")
    assert row is not None
    assert row.commercial
