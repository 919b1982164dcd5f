from __future__ import annotations

import numpy as np

from dubarr_pipeline.script.model import Diarization, Segment, Transcript, Turn
from dubarr_pipeline.script.speakers.references import clean_lines
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.synthetic_voices import SoundInMemory

RATE = 24_000


def voice(seconds: float) -> np.ndarray:
    """Syllables of a harmonic voice at 150 Hz: loud and silent in turn."""
    time = np.arange(round(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 20))
    return (0.1 * tone * (np.sin(2 * np.pi * 2 * time) > -0.6)).astype(np.float32)


def test_only_long_clean_lines_of_one_speaker_are_their_own_reference() -> None:
    sound = np.zeros(40 * RATE, np.float32)
    bed = np.zeros_like(sound)
    lengths = {0: (1, 4.0), 1: (7, 2.9), 2: (12, 4.0), 3: (18, 4.0), 4: (25, 9.0)}
    segments, turns = [], []
    for index, (start_s, length_s) in lengths.items():
        span = Span(start_s * RATE, start_s * RATE + round(length_s * RATE))
        sound[span.start : span.end] += voice(length_s)[: span.length]
        segments.append(Segment(index, span, "SPEAKER_00", "words"))
        turns.append(Turn(span, "SPEAKER_00"))
    bed[12 * RATE : 16 * RATE] = 0.2 * np.random.default_rng(1).standard_normal(4 * RATE)
    turns.append(Turn(Span(19 * RATE, 20 * RATE), "SPEAKER_01"))
    script = Transcript(RATE, sound.size, "en", tuple(segments))
    found = clean_lines(
        SoundInMemory(sound, RATE),
        SoundInMemory(bed, RATE),
        Diarization(RATE, tuple(turns)),
        script,
    )
    # 1 is too short, 2 is drowned, in 3 somebody else speaks; 4 is cut to the longest that helps.
    assert sorted(found) == [0, 4]
    assert found[4].span == Span(25 * RATE, 30 * RATE)
    assert found[0].text == "words"
