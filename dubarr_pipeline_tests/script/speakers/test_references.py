from __future__ import annotations

import json
import resource
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from dubarr_pipeline.errors import WorkspaceError
from dubarr_pipeline.script.model import Diarization, Segment, Transcript, Turn, Word
from dubarr_pipeline.script.speakers.references import (
    RefOptions,
    choose_refs,
    write_ref,
    write_refs_report,
    zero_crossing_rate,
)
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.synthetic_voices import SoundInMemory, SyntheticVoice, speak

RATE = 24000
LOW, HIGH = SyntheticVoice(110), SyntheticVoice(220, 1.15)


def at(start_s, end_s):
    return Span(round(start_s * RATE), round(end_s * RATE))


class Film:
    """Voices laid on silence, and their turns."""

    def __init__(self, seconds=40):
        self.sound = 1e-4 * np.random.default_rng(0).standard_normal(seconds * RATE)
        self.beside = np.zeros(seconds * RATE)
        self.turns: list[Turn] = []

    def say(self, who, start_s, end_s, level=1.0):
        span = at(start_s, end_s)
        voice = speak((LOW, HIGH)[who], end_s - start_s, RATE, len(self.turns))
        self.sound[span.start : span.end] += level * voice[: span.length]
        self.turns.append(Turn(span, f"SPEAKER_{who:02d}"))
        return self

    def noise(self, start_s, end_s, level):
        span = at(start_s, end_s)
        self.beside[span.start : span.end] += level * np.random.default_rng(2).standard_normal(
            span.length
        )
        return self

    def refs(self, transcript=None, options=None):
        told = Diarization(RATE, tuple(self.turns))
        return choose_refs(
            SoundInMemory(self.sound, RATE),
            SoundInMemory(self.beside, RATE),
            told,
            transcript,
            options or RefOptions(),
        )


def test_the_stretch_of_three_to_five_seconds_is_chosen():
    (ref,) = Film().say(0, 1, 2.5).say(0, 5, 9).say(0, 12, 14).refs()
    assert ref.chosen
    assert at(5, 9).overlap(ref.chosen.span) > 0.95 * ref.chosen.span.length
    assert ref.fallback is None
    assert ref.failure is None
    others = [c for c in ref.candidates if c is not ref.chosen]
    assert len(others) == 2
    assert all("shorter than the chosen one" in (c.rejected or "") for c in others)


@pytest.mark.parametrize(
    ("length_s", "fallback"), [(3.1, None), (2.9, "only 2.9 s of clean speech")]
)
def test_a_shorter_sample_is_named_as_a_fallback(length_s, fallback):
    (ref,) = Film().say(0, 1, 1 + length_s).refs()
    assert ref.chosen
    assert ref.fallback == fallback


@pytest.mark.parametrize(("length_s", "chosen"), [(1.05, True), (0.95, False)])
def test_less_than_a_second_is_no_reference(length_s, chosen):
    (ref,) = Film().say(0, 1, 1 + length_s).refs()
    assert (ref.chosen is not None) == chosen
    assert chosen or "too short" in (ref.failure or "")


def test_a_long_stretch_is_cut_to_five_seconds_at_most():
    (ref,) = Film().say(0, 1, 18).refs()
    assert ref.chosen
    assert 3 <= ref.chosen.length_s <= 5
    assert len(ref.candidates) == 4


def test_what_others_talk_over_is_left_out():
    film = Film().say(0, 1, 6).say(1, 3, 10)
    low, high = film.refs()
    assert low.chosen
    assert low.chosen.span.end <= 3 * RATE
    assert high.chosen
    assert high.chosen.span.start >= 6 * RATE


def test_a_speaker_who_is_never_alone_is_a_named_failure():
    low, high = Film().say(0, 1, 8).say(1, 2, 5).refs()
    assert low.chosen
    assert high.chosen is None
    assert high.failure == "never heard alone: others speak, or sing, in all of their turns"


def test_the_clean_stretch_beats_the_noisy_one():
    film = Film().say(0, 1, 5).say(0, 8, 12).noise(0, 6, 0.1)
    (ref,) = film.refs()
    assert ref.chosen
    assert ref.chosen.span.start >= 8 * RATE
    assert "less clean" in (ref.candidates[0].rejected or "")
    assert (ref.chosen.snr_db or 0) > (ref.candidates[0].snr_db or 0) + 10


@pytest.mark.parametrize(("noise", "outcome"), [(0.03, None), (0.06, "noisy"), (0.4, "failure")])
def test_noise_is_named(noise, outcome):
    (ref,) = Film().say(0, 1, 5).noise(0, 40, noise).refs()
    if outcome == "failure":
        assert ref.chosen is None
        assert "drowned: SNR" in (ref.failure or "")
    else:
        assert ref.chosen
        assert ref.fallback is None if outcome is None else outcome in (ref.fallback or "")


def test_silence_hiss_hum_and_clipping_are_rejected_by_name():
    film = Film()
    time = np.arange(4 * RATE) / RATE
    hiss = 0.1 * np.diff(np.random.default_rng(1).standard_normal(time.size + 1))
    sounds = (
        0 * time,
        hiss * (time % 1 < 0.8),
        0.2 * np.sin(2 * np.pi * 50 * time) * (time % 1 < 0.8),
    )
    clipped = np.clip(30 * speak(LOW, 4, RATE), -1, 1)
    for i, sound in enumerate((*sounds, clipped)):
        span = at(1 + 6 * i, 5 + 6 * i)
        film.sound[span.start : span.end] = sound
        film.turns.append(Turn(span, "SPEAKER_00"))
    (ref,) = film.refs()
    assert ref.chosen is None
    for word, candidate in zip(("silent", "hiss", "hum", "clipped"), ref.candidates, strict=True):
        assert word in (candidate.rejected or "")


def test_songs_are_left_out_and_texts_come_along():
    film = Film().say(0, 1, 5).say(0, 8, 12)
    words = (Word(at(1, 2), "Hello"), Word(at(2, 5), "there"))
    transcript = Transcript(
        RATE,
        40 * RATE,
        "en",
        (
            Segment(0, at(1, 5), "SPEAKER_00", "Hello there", words=words),
            Segment(1, at(8, 12), "", "La la", "song"),
        ),
    )
    (ref,) = film.refs(transcript)
    assert ref.chosen
    assert ref.chosen.text == "Hello there"
    assert len(ref.candidates) == 1


def test_every_speaker_gets_an_entry_even_in_silence():
    told = Diarization(RATE, (Turn(at(1, 5), "SPEAKER_00"), Turn(at(50, 55), "SPEAKER_01")))
    refs = choose_refs(SoundInMemory(np.zeros(10 * RATE), RATE), None, told)
    assert [ref.speaker for ref in refs] == ["SPEAKER_00", "SPEAKER_01"]
    assert all(ref.chosen is None and ref.failure for ref in refs)


def test_only_so_many_are_measured_and_the_rest_are_told():
    film = Film(60)
    for i in range(10):
        film.say(0, 1 + 5 * i, 2.5 + 5 * i + 0.1 * i)
    (ref,) = film.refs(options=RefOptions(most_heard=3))
    unheard = [c for c in ref.candidates if c.snr_db is None]
    assert len(unheard) == 7
    assert all("not measured" in (c.rejected or "") for c in unheard)


def test_a_reference_is_written_mono_at_24_khz(tmp_path):
    rate = 48000
    voice = speak(LOW, 6, rate)
    stereo = SoundInMemory(np.stack([voice, voice]), rate)
    told = Diarization(rate, (Turn(Span(rate, 5 * rate), "SPEAKER_00"),))
    (ref,) = choose_refs(stereo, None, told)
    assert ref.chosen
    path = tmp_path / "refs" / "SPEAKER_00.wav"
    write_ref(stereo, ref.chosen, path)
    info = soundfile.info(path)
    assert (info.samplerate, info.channels) == (24000, 1)
    assert info.duration == pytest.approx(ref.chosen.length_s, abs=0.001)
    written, _ = soundfile.read(path)
    span = ref.chosen.span
    assert np.sqrt((written**2).mean()) == pytest.approx(
        np.sqrt((voice[span.start : span.end] ** 2).mean()), rel=0.05
    )
    assert [p.name for p in path.parent.iterdir()] == ["SPEAKER_00.wav"]


def test_a_loud_reference_is_not_clipped(tmp_path):
    voice = 20 * speak(LOW, 4, RATE)
    sound = SoundInMemory(voice, RATE)
    told = Diarization(RATE, (Turn(at(0, 4), "SPEAKER_00"),))
    candidate = replace(choose_refs(SoundInMemory(voice / 20, RATE), None, told)[0].candidates[0])
    write_ref(sound, candidate, tmp_path / "loud.wav")
    written, _ = soundfile.read(tmp_path / "loud.wav")
    assert np.abs(written).max() <= 0.991


def test_a_disk_that_takes_no_more_is_named(tmp_path):
    voice = SoundInMemory(speak(LOW, 4, RATE), RATE)
    told = Diarization(RATE, (Turn(at(0, 4), "SPEAKER_00"),))
    candidate = choose_refs(voice, None, told)[0].candidates[0]
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limit[1]))
    try:
        with pytest.raises(WorkspaceError, match="ulimit -f"):
            write_ref(voice, candidate, tmp_path / "ref.wav")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert list(tmp_path.iterdir()) == []


def test_the_report_names_every_candidate_and_reason(tmp_path):
    refs = Film().say(0, 1, 2.5).say(0, 5, 9).say(1, 12, 12.5).refs()
    write_refs_report(tmp_path / "refs.json", refs, RATE)
    document = json.loads((tmp_path / "refs.json").read_text())
    low, high = document["speakers"]["SPEAKER_00"], document["speakers"]["SPEAKER_01"]
    assert 5 <= low["chosen"]["start"] < low["chosen"]["end"] <= 9
    assert [bool(c["rejected"]) for c in low["candidates"]] == [True, False]
    assert high["chosen"] is None
    assert "too short" in high["failure"]
    assert document["schema"] == 1


@pytest.mark.parametrize(
    ("wave", "rate"),
    [([1, -1, 1, -1], 1.0), ([1, 1, -1, -1], 1 / 3), ([1, 1, 1, 1], 0.0), ([1], 0.0), ([], 0.0)],
)
def test_zero_crossings_are_counted(wave, rate):
    assert zero_crossing_rate(np.array(wave, np.float32)) == pytest.approx(rate)
