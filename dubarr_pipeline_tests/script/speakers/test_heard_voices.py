"""Voices told apart where nothing is written: by timbre, and by voiceprints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from dubarr_pipeline.engines.diarization.cue_clusters import CueClusterOptions, CueClusters
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.script.speakers.grouping import ClusterOptions
from dubarr_pipeline.script.speakers.stretches import StretchOptions, divide_speech
from dubarr_pipeline.script.speakers.voiceprints import group_prints, likeness
from dubarr_pipeline.spans import Span, merge
from dubarr_pipeline_tests.fixtures.synthetic_voices import (
    Scene,
    SoundInMemory,
    SyntheticVoice,
    best_match,
    dialogue,
    error_rate,
    speak,
)

RATE = 16000
VOICES = [
    SyntheticVoice(105),
    SyntheticVoice(205, 1.17),
    SyntheticVoice(150, 1.08),
    SyntheticVoice(230, 1.28),
]
FOUR = [0, 1, 2, 3, 0, 2, 1, 3, 3, 0, 1, 2, 0, 3, 2, 1, 1, 0, 2, 3]
PLAIN = CueClusterOptions(model="")


def with_bed(scene: Scene, snr_db: float) -> SoundInMemory:
    """The scene with what separation leaves of music: chords that change, under every line."""
    sound = scene.sound.read(0, scene.sound.samples)[0]
    time = np.arange(sound.size) / RATE
    bed = np.zeros(sound.size)
    for i, start in enumerate(range(0, sound.size, RATE // 2)):
        part = slice(start, start + RATE // 2)
        for factor in (1.0, 1.25, 1.5, 2.0, 3.0):
            hz = (110, 131, 98, 147)[i % 4] * factor
            bed[part] += np.sin(2 * np.pi * hz * time[part] + factor) / factor
    spoken = np.concatenate([sound[span.start : span.end] for span in scene.speech])
    bed *= np.sqrt(np.mean(spoken**2) / np.mean(bed**2)) * 10 ** (-snr_db / 20)
    return SoundInMemory((sound + bed).astype(np.float32), RATE)


def heard(sound: SoundInMemory, scene: Scene, pad_s: float = 0.15) -> tuple[int, float]:
    """How many speakers are found without cues, and the diarization error rate."""
    pad = round(pad_s * RATE)
    speech = merge(span.pad(pad, pad) for span in scene.speech)
    found = CueClusters(PLAIN).diarize(sound, speech, [])
    truth = [(span, str(who)) for span, who in scene.turns]
    turns = [(turn.span, turn.speaker) for turn in found.turns]
    return len(found.speakers), error_rate(truth, turns, RATE)


def test_four_voices_are_four_though_the_detector_bridges_their_pauses() -> None:
    scene = dialogue(VOICES, FOUR, pause_s=0.25)
    count, error = heard(scene.sound, scene)
    assert count == 4
    assert error <= 0.08


def test_four_voices_over_a_bed_are_four() -> None:
    scene = dialogue(VOICES, FOUR, pause_s=0.35)
    count, error = heard(with_bed(scene, 15), scene)
    assert count == 4
    assert error <= 0.1


def test_under_a_bed_the_lines_of_subtitles_are_told_apart_by_sound() -> None:
    scene = dialogue(VOICES, FOUR, pause_s=0.35)
    cues = [Cue(span, f"Some words of line {i}.") for i, (span, _) in enumerate(scene.turns)]
    diarizer = CueClusters(CueClusterOptions(model="", cues_by="sound"))
    found = diarizer.diarize(with_bed(scene, 10), scene.speech, cues)
    turns = [(turn.span, turn.speaker) for turn in found.turns]
    assert len(found.speakers) == 4
    assert error_rate([(span, str(who)) for span, who in scene.turns], turns, RATE) <= 0.05


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("snr_db", [None, 15])
def test_one_narrator_is_one(voice: SyntheticVoice, snr_db: float | None) -> None:
    scene = dialogue([voice], [0] * 25, pause_s=0.4)
    sound = with_bed(scene, snr_db) if snr_db else scene.sound
    assert heard(sound, scene)[0] == 1


def test_one_narrator_who_whispers_and_shouts_is_one() -> None:
    scene = dialogue([VOICES[1]], [0] * 25, pause_s=0.4)
    sound = scene.sound.read(0, scene.sound.samples)[0].copy()
    for i, span in enumerate(scene.speech):
        sound[span.start : span.end] *= 10 ** ((-9, 0, 6)[i % 3] / 20)
    assert heard(SoundInMemory(sound, RATE), scene)[0] == 1


def test_a_man_and_a_woman_of_two_lines_each_are_two() -> None:
    scene = dialogue(VOICES[:2], [0, 1, 1, 0], pause_s=0.4)
    assert heard(scene.sound, scene) == (2, pytest.approx(0, abs=0.1))
    scene = dialogue(VOICES[:2], [0, 1, 0], pause_s=0.4)
    assert heard(scene.sound, scene)[0] == 2


def test_turns_end_where_the_voice_does() -> None:
    scene = dialogue(VOICES[:2], [0, 1, 0, 1, 0, 1, 0, 1], pause_s=0.25)
    whole = [Span(scene.speech[0].start, scene.speech[-1].end)]
    turns = CueClusters(PLAIN).diarize(scene.sound, whole, []).turns
    assert len(turns) == len(scene.turns)
    for turn, (span, _) in zip(turns, scene.turns, strict=True):
        assert abs(turn.span.start - span.start) <= 0.1 * RATE
        assert abs(turn.span.end - span.end) <= 0.1 * RATE


def test_a_pause_divides_and_a_stop_within_a_word_does_not() -> None:
    voice = speak(VOICES[0], 4, RATE)
    voice[RATE : RATE + RATE // 10] = 0
    voice[2 * RATE : 2 * RATE + RATE // 4] = 0
    found = divide_speech(SoundInMemory(voice, RATE), [Span(0, 4 * RATE)])
    assert len(found) == 2
    assert abs(found[0].end - 2 * RATE) < 0.1 * RATE


def test_long_speech_without_a_pause_is_divided_whole() -> None:
    sound = SoundInMemory(speak(VOICES[0], 11, RATE), RATE)
    found = divide_speech(sound, [Span(0, 11 * RATE)], StretchOptions(longest_s=2.5))
    assert merge(found) == [Span(0, 11 * RATE)]
    assert all(span.length <= 3.2 * RATE for span in found)


@pytest.mark.parametrize("spans", [[], [Span(0, 10)], [Span(100, 200), Span(90000, 200000)]])
def test_silence_and_slivers_divide_into_what_lies_in_the_sound(spans: Sequence[Span]) -> None:
    sound = SoundInMemory(np.zeros(RATE, np.float32), RATE)
    assert all(0 <= s.start < s.end <= RATE for s in divide_speech(sound, spans))


def prints_of(
    order: Sequence[int], seconds: Sequence[float], seed: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Voiceprints of voices whose cosine is 0.4, each with noise as its length has it."""
    chance = np.random.default_rng(seed)
    axes = np.linalg.qr(chance.normal(size=(64, 64)))[0]
    found: list[np.ndarray] = []
    for who, length in zip(order, seconds, strict=True):
        mean = np.sqrt(0.4) * axes[0] + np.sqrt(0.6) * axes[1 + who]
        noise = chance.normal(size=64) * np.sqrt(0.6 / length / 64)
        found.append((mean + noise) / np.linalg.norm(mean + noise))
    return np.array(found), np.array(seconds)


def test_short_prints_of_one_voice_are_as_alike_as_long_ones() -> None:
    for length in (0.8, 1.5, 4.0):
        prints, seconds = prints_of([0] * 30, [length] * 30)
        alike = likeness(prints, seconds)[np.triu_indices(30, 1)]
        assert np.median(alike) == pytest.approx(1.0, abs=0.12)


@pytest.mark.parametrize("voices", [1, 2, 5])
def test_prints_are_grouped_by_voice(voices: int) -> None:
    order = [i % voices for i in range(40)]
    prints, seconds = prints_of(order, [0.8 + 0.1 * (i % 20) for i in range(40)])
    labels = group_prints(prints, seconds, ClusterOptions())
    assert len(set(labels)) == voices
    assert best_match(order, [str(label) for label in labels]) == 1


def test_a_crumb_is_no_speaker_of_its_own() -> None:
    prints, seconds = prints_of([0] * 20 + [1], [2.0] * 20 + [0.9])
    assert set(group_prints(prints, seconds, ClusterOptions())) == {0}


def test_as_many_voices_as_are_asked_for() -> None:
    prints, seconds = prints_of([0] * 20, [2.0] * 20)
    assert len(set(group_prints(prints, seconds, ClusterOptions(fewest=3)))) == 3
    prints, seconds = prints_of([i % 6 for i in range(30)], [2.0] * 30)
    assert len(set(group_prints(prints, seconds, ClusterOptions(most=4)))) == 4
