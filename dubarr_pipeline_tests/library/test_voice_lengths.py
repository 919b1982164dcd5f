from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.library.voice_lengths import VoiceShelf, stock_voices
from dubarr_pipeline.timeline.length_model import LengthModel
from dubarr_pipeline.timeline.script import SpeakerProfile

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
    shelf, voices = VoiceShelf(tmp_path, "engine 1"), (("es", "marta"),)
    assert shelf.read(voices) is None
    shelf.keep(learned("marta", 1.3), voices)
    known = shelf.read(voices)
    assert known is not None
    text = "Mañana por la mañana hablamos."
    slow = LengthModel.from_document(known).predict(text, "es", "marta")
    assert slow > 1.15 * LengthModel().predict(text, "es", "marta")


def test_films_add_to_each_other(tmp_path: Path) -> None:
    shelf, voices = VoiceShelf(tmp_path, "engine 1"), (("es", "marta"),)
    shelf.keep(learned("marta", 1.3), voices)
    shelf.keep(learned("marta", 1.2), voices)
    known = shelf.read(voices)
    assert known is not None
    assert len(known["voices"][0]["takes"]) == 6


def test_a_voice_is_that_of_one_engine_and_one_language(tmp_path: Path) -> None:
    shelf = VoiceShelf(tmp_path, "engine 1")
    shelf.keep(learned("marta", 1.3), (("es", "marta"),))
    assert VoiceShelf(tmp_path, "engine 2").read((("es", "marta"),)) is None
    assert shelf.read((("ca", "marta"),)) is None


def test_speakers_of_one_film_are_not_remembered(tmp_path: Path) -> None:
    VoiceShelf(tmp_path, "engine 1").keep(learned("SPEAKER_00", 1.3), (("es", "marta"),))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["", "{}", '{"schema": 1, "takes": [[1]]}', "[1"])
def test_a_damaged_file_teaches_nothing_and_is_replaced(tmp_path: Path, damage: str) -> None:
    shelf, voices = VoiceShelf(tmp_path, "engine 1"), (("es", "marta"),)
    shelf.keep(learned("marta", 1.3), voices)
    next(tmp_path.iterdir()).write_text(damage)
    assert shelf.read(voices) is None
    shelf.keep(learned("marta", 1.3), voices)
    assert shelf.read(voices) is not None
