from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.script.model import SpeakerProfile
from dubarr_pipeline.segments.lengths import VoiceLengthStore, stock_voices
from dubarr_pipeline.timing.length_model import LengthModel

LINES = ("La casa nueva tiene una puerta roja.", "¿Quién está ahí?", "Vámonos de aquí, rápido.")


def learned(voice: str, slow: float, language: str = "es") -> dict[str, Any]:
    """What a film teaches of a voice that is so much slower than expected."""
    model = LengthModel()
    for text in LINES:
        model.observe((text, language, voice), slow * LengthModel().predict(text, language, voice))
    return model.to_document()


def test_only_voices_that_were_chosen_by_name_are_stock() -> None:
    speakers = [
        SpeakerProfile("SPEAKER_00", voices={"es": "marta", "fr": "claire"}),
        SpeakerProfile("SPEAKER_01", voices={"es": "marta"}),
        SpeakerProfile("SPEAKER_02"),
    ]
    assert stock_voices(speakers, ("es", "ca")) == (("es", "marta"),)


def test_the_next_film_knows_the_voice(tmp_path: Path) -> None:
    store, voices = VoiceLengthStore(tmp_path, "engine 1"), (("es", "marta"),)
    assert store.read(voices) is None
    store.keep(learned("marta", 1.3), voices)
    known = store.read(voices)
    assert known is not None
    text = "Mañana por la mañana hablamos."
    slow = LengthModel.from_document(known).predict(text, "es", "marta")
    assert slow > 1.15 * LengthModel().predict(text, "es", "marta")


def test_films_add_to_each_other(tmp_path: Path) -> None:
    store, voices = VoiceLengthStore(tmp_path, "engine 1"), (("es", "marta"),)
    store.keep(learned("marta", 1.3), voices)
    store.keep(learned("marta", 1.2), voices)
    known = store.read(voices)
    assert known is not None
    assert len(known["voices"][0]["takes"]) == 6


def test_a_voice_is_that_of_one_engine_and_one_language(tmp_path: Path) -> None:
    store = VoiceLengthStore(tmp_path, "engine 1")
    store.keep(learned("marta", 1.3), (("es", "marta"),))
    assert VoiceLengthStore(tmp_path, "engine 2").read((("es", "marta"),)) is None
    assert store.read((("ca", "marta"),)) is None


def test_speakers_of_one_film_are_not_remembered(tmp_path: Path) -> None:
    VoiceLengthStore(tmp_path, "engine 1").keep(learned("SPEAKER_00", 1.3), (("es", "marta"),))
    assert list(tmp_path.iterdir()) == []


def test_lengths_that_version_0_1_0_learned_survive(tmp_path: Path) -> None:
    voices = (("es", "marta"),)
    facts = {"schema": 1, "engine": "engine 1", **learned("marta", 1.3)["voices"][0]}
    # The name that version 0.1.0 gave to the lengths of this voice and engine.
    path = tmp_path / "6ddcb2d32d4e285aa31e9f84.json"
    path.write_text(json.dumps(facts))
    store = VoiceLengthStore(tmp_path, "engine 1")
    known = store.read(voices)
    assert known is not None
    assert len(known["voices"][0]["takes"]) == 3
    store.keep(learned("marta", 1.2), voices)
    known = store.read(voices)
    assert known is not None
    assert len(known["voices"][0]["takes"]) == 6


@pytest.mark.parametrize("damage", ["", "{}", '{"schema": 1, "takes": [[1]]}', "[1"])
def test_a_damaged_file_teaches_nothing_and_is_replaced(tmp_path: Path, damage: str) -> None:
    store, voices = VoiceLengthStore(tmp_path, "engine 1"), (("es", "marta"),)
    store.keep(learned("marta", 1.3), voices)
    next(tmp_path.iterdir()).write_text(damage)
    assert store.read(voices) is None
    store.keep(learned("marta", 1.3), voices)
    assert store.read(voices) is not None
