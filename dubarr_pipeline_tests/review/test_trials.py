"""A line that is spoken at once, and how it sounds among its neighbours."""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dubarr_pipeline.errors import LineError
from dubarr_pipeline.media.audio.reader import Samples
from dubarr_pipeline.media.audio.wav import WaveFile, write_wave
from dubarr_pipeline.review.room import ReviewRoom
from dubarr_pipeline.review.sounds import trials
from dubarr_pipeline.segments.trial import SpokenTrial
from dubarr_pipeline_tests.fixtures.finished_work import RATE, take
from dubarr_pipeline_tests.fixtures.review_film import KEY, client_of
from dubarr_pipeline_tests.review.test_reading import heard

FILM = f"/api/v1/films/{KEY}"


class SpokenByHand:
    """Speaks every line as a tone, and remembers what it was asked for."""

    made: list[SpokenByHand]

    def __init__(self, _settings: Any, _source: Path, work: Any, targets: tuple[str, ...]) -> None:
        self.work, self.targets, self.asked, self.closed = work, targets, [], False
        self.threads: set[int] = set()
        self.made.append(self)

    def close(self) -> None:
        self.closed = True

    def speak(self, language: str, line: str, overrides: Any, speaker: str | None) -> SpokenTrial:
        self.threads.add(threading.get_ident())
        assert line.startswith("L")
        self.asked.append((language, overrides.text, overrides.voice, speaker))
        if overrides.text == "?":
            raise LineError("untranslated", "it has no words yet")
        path = self.work.root / "tried.wav"
        samples = 0.2 * np.sin(2 * np.pi * 1000 * np.arange(RATE // 2) / RATE)
        write_wave(path, samples.astype(np.float32), RATE)
        return SpokenTrial(2, take(), path, 3 * RATE, RATE // 2, RATE, Fraction(1), 1)


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> list[SpokenByHand]:
    SpokenByHand.made = []
    monkeypatch.setattr(trials, "Trial", SpokenByHand)
    return SpokenByHand.made


def tone(frames: np.ndarray, rate: int, frequency_hz: float) -> float:
    """Amplitude of a tone in the first channel, in steps of 16 bits."""
    time = np.arange(len(frames)) / rate
    return 2 * abs(np.mean(frames[:, 0] * np.exp(-2j * np.pi * frequency_hz * time)))


def test_a_line_is_heard_among_its_neighbours(room: ReviewRoom, by_hand: list[SpokenByHand]):
    client = client_of(room)
    row = client.get(f"{FILM}/lines?lang=es").json()["lines"][2]
    wish = {"lang": "es", "text": "Hola", "voice": "ef_dora", "speaker": "SPEAKER_00"}
    told = client.post(f"{FILM}/lines/{row['id']}/try", json=wish).json()
    assert by_hand[0].asked == [("es", "Hola", "ef_dora", "SPEAKER_00")]
    assert told["take"]["chosen"] is False
    sound = client.get(told["sound"], params={"pad": 0.5, "lang": "es"})
    rate, frames = heard(sound.content)
    assert float(sound.headers["x-start-s"]) == 2.5
    # From half a second before the original's second to half a second after.
    assert len(frames) == 2 * rate
    before, during, after = (frames[round(a * rate) : round(b * rate)] for a, b in PARTS)
    for part in (before, during, after):
        assert tone(part, rate, 90) == pytest.approx(0.4 * 32768, rel=0.05)
    assert tone(during, rate, 1000) > 20 * tone(before, rate, 1000) + 100
    # As loud as the voice that it stands for, which is not heard beside it.
    power = 0.4**2 + 0.2**2
    expected = 32768 * np.sqrt(power / 2)
    assert tone(during, rate, 1000) == pytest.approx(expected, rel=0.05)
    assert tone(during, rate, 400) < 0.02 * 32768


PARTS = ((0.0, 0.5), (0.5, 1.0), (1.5, 2.0))


def test_no_voice_is_read_but_that_of_lines_nearby(
    room: ReviewRoom, by_hand: list[SpokenByHand], monkeypatch: pytest.MonkeyPatch
):
    client = client_of(room)
    row = client.get(f"{FILM}/lines?lang=es").json()["lines"][2]
    wish = {"lang": "es", "text": "Hola"}
    told = client.post(f"{FILM}/lines/{row['id']}/try", json=wish).json()
    reads, read = list[tuple[float, float]](), WaveFile.read

    def noted(wave: WaveFile, start: int, stop: int) -> Samples:
        if wave.path.name == "vocals.wav":
            reads.append((start / RATE, stop / RATE))
        return read(wave, start, stop)

    monkeypatch.setattr(WaveFile, "read", noted)
    client.get(told["sound"], params={"pad": 0, "lang": "es"})
    assert reads
    assert all(start < 4 and stop > 3 for start, stop in reads)


def test_one_voice_is_kept_while_a_film_is_mended(room: ReviewRoom, by_hand: list[SpokenByHand]):
    client = client_of(room)
    row = client.get(f"{FILM}/lines?lang=es").json()["lines"][2]
    for text in ("Uno", "Dos", "Tres"):
        client.post(f"{FILM}/lines/{row['id']}/try", json={"lang": "es", "text": text})
    (kept,) = by_hand
    assert len(kept.threads) == 1
    assert not kept.closed
    room.close()
    assert kept.closed


def test_what_cannot_be_spoken_is_named(room: ReviewRoom, by_hand: list[SpokenByHand]):
    client = client_of(room)
    row = client.get(f"{FILM}/lines?lang=es").json()["lines"][0]
    address = f"{FILM}/lines/{row['id']}/try"
    told = client.post(address, json={"lang": "es", "text": "?"})
    assert (told.status_code, told.json()) == (422, {"error": "it has no words yet"})
    assert len(by_hand[0].asked) == 1
    for wish in ({"lang": "es", "text": " "}, {"lang": "es", "text": ""}, {"text": "x"}):
        assert client.post(address, json=wish).status_code == 422
    assert client.post(address, json={"lang": "fr", "text": "x"}).status_code == 404
    assert client.post(f"{FILM}/lines/L0/try", json={"lang": "es"}).status_code == 404
    assert len(by_hand[0].asked) == 1
    assert client.get(f"{FILM}/lines/{row['id']}/trials/none?lang=es").status_code == 404
