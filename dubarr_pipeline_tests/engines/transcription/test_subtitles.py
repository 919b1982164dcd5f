from __future__ import annotations

import logging
import re
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dubarr_pipeline.engines.diarization.cue_clusters import CueClusters
from dubarr_pipeline.engines.interfaces import Hearing
from dubarr_pipeline.engines.transcription.subtitles import SubtitleTranscriber
from dubarr_pipeline.errors import NoScript
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.script.model import Diarization, Transcript, Turn
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.synthetic_voices import (
    SoundInMemory,
    SyntheticVoice,
    dialogue,
    speak,
)

RATE = 8000


def transcribe(cues, speech, diarization=None, seconds=60, language="en", sound=None):
    vocals = sound or SoundInMemory(np.zeros(seconds * RATE, np.float32), RATE)
    turns = tuple(Turn(span, "SPEAKER_00") for span in speech)
    told = diarization or Diarization(vocals.rate, turns)
    hearing = Hearing(vocals, tuple(speech), told, tuple(cues), language)
    return SubtitleTranscriber().transcribe(hearing)


def cue(start_s, end_s, text):
    return Cue(Span(round(start_s * RATE), round(end_s * RATE)), text)


def span(start_s, end_s):
    return Span(round(start_s * RATE), round(end_s * RATE))


@st.composite
def scripts(draw):
    """Cues anywhere, overlapping, of any length; texts of words that occur once in the script."""
    count = draw(st.integers(1, 12))
    cues, starts = [], st.integers(0, 58 * RATE)
    for i in range(count):
        start = draw(starts)
        length = draw(st.sampled_from([0, 1, 7, 400, 8000, 16000, 40000, 200000]))
        parts = draw(st.integers(1, 3))
        ends = draw(
            st.lists(st.sampled_from([".", "", "...", "?", ","]), min_size=parts, max_size=parts)
        )
        lines = [f"Word{i}x{p} and{i}x{p} more{i}x{p}{ends[p]}" for p in range(parts)]
        text = "\n".join(f"- {line}" for line in lines) if parts > 1 else lines[0]
        cues.append(Cue(Span(start, start + length), text))
    return cues


spans = st.lists(
    st.tuples(st.integers(0, 58 * RATE), st.integers(1, 3 * RATE)).map(
        lambda t: Span(t[0], t[0] + t[1])
    ),
    max_size=12,
)
speakers = st.lists(st.integers(0, 2), min_size=12, max_size=12)


@settings(max_examples=120, deadline=None)
@given(scripts(), spans, speakers)
@example(
    [cue(325_868 / RATE, 525_868 / RATE, "Word0x0 and0x0 more0x0.")],
    [Span(456_001, 60 * RATE + 1)],
    [0],
)
def test_every_word_is_in_exactly_one_segment_and_nobody_speaks_twice_at_once(cues, speech, who):
    turns = [Turn(s, f"SPEAKER_{who[i]:02d}") for i, s in enumerate(speech)]
    transcript = transcribe(cues, speech, Diarization(RATE, tuple(turns)))
    found = sorted(w for s in transcript.segments for w in re.findall(r"\w+", s.text))
    assert found == sorted(w for c in cues for w in re.findall(r"\w+", c.text))
    check_law(transcript)


def check_law(transcript: Transcript) -> None:
    starts = [s.span.start for s in transcript.segments]
    assert starts == sorted(starts)
    assert [s.index for s in transcript.segments] == list(range(len(starts)))
    for speaker in {s.speaker for s in transcript.segments} - {""}:
        own = [s.span for s in transcript.segments if s.speaker == speaker]
        assert all(a.end <= b.start for a, b in pairwise(own)), (speaker, own)
    for segment in transcript.segments:
        assert 0 <= segment.span.start < segment.span.end <= transcript.samples
        edges = [edge for w in segment.words for edge in (w.span.start, w.span.end)]
        assert edges == sorted(edges)
        assert all(segment.span.start <= e <= segment.span.end for e in edges)
        if segment.kind == "speech":
            assert [w.text for w in segment.words] == segment.text.split()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 700), min_size=2, max_size=12, unique=True), spans)
def test_lines_that_follow_each_other_keep_the_order_of_their_cues(starts, speech):
    ticks = sorted(starts)
    cues = [
        Cue(Span(a * 600, b * 600), f"Line {i}.")
        for i, (a, b) in enumerate(zip(ticks, [*ticks[1:], 760], strict=True))
    ]
    transcript = transcribe(cues, speech)
    numbers = [int(n) for s in transcript.segments for n in re.findall(r"\d+", s.text)]
    assert numbers == list(range(len(cues)))


@pytest.mark.parametrize(
    ("moved_s", "found_s"),
    [
        (0.0, 10.0),
        (-0.5, 10.0),
        (0.5, 10.0),
        (-0.99, 10.0),
        (-1.01, 8.99),
        (0.59, 10.0),
        (0.61, 10.61),
    ],
)
def test_a_start_is_moved_to_the_speech_within_its_bounds(moved_s, found_s):
    transcript = transcribe(
        [cue(10 + moved_s, 13, "Here is one line of the script.")], [span(10, 13)]
    )
    assert transcript.segments[0].span.start / RATE == pytest.approx(found_s, abs=0.001)


def test_an_end_that_lingers_is_taken_back_to_the_end_of_the_speech():
    transcript = transcribe([cue(10, 14, "Short line.")], [span(10, 12)])
    assert transcript.segments[0].span == span(10, 12)


def test_a_cue_without_speech_keeps_its_own_times_with_less_confidence():
    heard, unheard = transcribe(
        [cue(10, 12, "One line."), cue(30, 32, "Another one.")], [span(10, 12)]
    ).segments
    assert unheard.span == span(30, 32)
    assert unheard.confidence < 0.5 < heard.confidence


def test_touching_cues_part_at_the_pause_between_the_voices():
    first, second = transcribe(
        [cue(10, 12.2, "This is the first."), cue(12.2, 14, "That is the second.")],
        [span(10, 11.9), span(12.1, 14)],
    ).segments
    assert (first.span, second.span) == (span(10, 11.9), span(12.1, 14))


def test_a_dialogue_in_one_cue_is_parted_at_the_pause_and_given_to_both():
    turns = (Turn(span(10, 11), "SPEAKER_00"), Turn(span(11.5, 14), "SPEAKER_01"))
    first, second = transcribe(
        [cue(10, 14, "- Who?\n- The man who came in last night.")],
        [span(10, 11), span(11.5, 14)],
        Diarization(RATE, turns),
    ).segments
    assert (first.text, first.speaker, first.span) == ("Who?", "SPEAKER_00", span(10, 11))
    assert (second.speaker, second.span) == ("SPEAKER_01", span(11.5, 14))


def test_a_sentence_over_two_cues_becomes_one_line():
    transcript = transcribe(
        [cue(10, 12, "I never thought"), cue(12, 14, "that you would come.")], [span(10, 14)]
    )
    assert [s.text for s in transcript.segments] == ["I never thought that you would come."]
    assert transcript.segments[0].span == span(10, 14)


@pytest.mark.parametrize(
    ("first", "second", "gap_s", "lines"),
    [
        ("I never thought", "that you would come.", 0.5, 1),
        ("I never thought", "that you would come.", 0.51, 2),
        ("I never thought.", "That is all.", 0.1, 2),
        ("I never...", "...thought of it.", 0.3, 1),
        ("I never...", "What?", 0.3, 2),
        ("I saw Mr.", "Smith there.", 0.1, 1),
        ("I never thought", "- that you would come.", 0.1, 2),
    ],
)
def test_only_halves_of_a_sentence_are_joined(first, second, gap_s, lines):
    speech = [span(10, 12), span(12 + gap_s, 14 + gap_s)]
    transcript = transcribe(
        [Cue(speech[0], first), Cue(speech[1], second)], speech, Diarization(RATE, ())
    )
    assert len(transcript.segments) == lines


def test_a_long_cue_is_divided_where_a_sentence_ends_and_the_speaker_pauses():
    text = "This is a first sentence of some length. And here begins the second one of them."
    first, second = transcribe([cue(10, 17, text)], [span(10, 13), span(14, 17)]).segments
    assert (first.span, second.span) == (span(10, 13), span(14, 17))
    assert first.text.endswith("length.")


def test_a_cue_of_ten_seconds_stays_whole_and_a_longer_one_is_divided():
    text = "This is a first sentence of some length. And here begins the second one of them. " * 2
    assert len(transcribe([cue(10, 20, text)], [span(10, 20)]).segments) == 1
    assert len(transcribe([cue(10, 20.1, text)], [span(10, 20.1)]).segments) > 1


def test_kinds_are_told_apart_and_advertisements_left_out(caplog):
    cues = [
        cue(1, 2, "Subtitles by somebody"),
        cue(3, 5, "♪ La la la ♪"),
        cue(6, 8, "[door slams]"),
        cue(10, 12, "[in Spanish] Where are you going?"),
        cue(14, 16, "Plain speech."),
        cue(70, 72, "After the end."),
    ]
    with caplog.at_level(logging.INFO):
        transcript = transcribe(cues, [span(3, 5), span(10, 12), span(14, 16)])
    assert [s.kind for s in transcript.segments] == ["song", "nonverbal", "foreign", "speech"]
    assert [s.text for s in transcript.lines] == ["Plain speech."]
    assert "'credits': 1" in caplog.text
    assert "'after the end': 1" in caplog.text
    assert [(c.text, c.reason) for c in transcript.left_out] == [
        ("Subtitles by somebody", "credits"),
        ("After the end.", "after the end"),
    ]


def test_without_subtitles_the_error_says_what_to_do():
    with pytest.raises(NoScript, match=r"\{stem\}\.en\.srt.*faster-whisper"):
        transcribe([], [span(1, 2)])


def test_with_nothing_but_advertisements_the_error_says_so():
    with pytest.raises(NoScript, match=r"1 cues: 1 credits"):
        transcribe([cue(1, 3, "www.opensubtitles.org")], [])


def test_an_unknown_language_is_guessed_and_told(caplog):
    cues = [
        cue(i * 3, i * 3 + 2, "No sé qué es lo que quieres de mí, pero está bien.")
        for i in range(9)
    ]
    with caplog.at_level(logging.WARNING):
        transcript = transcribe(cues, [], language=None)
    assert transcript.language == "es"
    assert "'es' (confidence" in caplog.text


def test_words_lie_on_the_voice_and_not_in_the_pause():
    transcript = transcribe([cue(10, 14, "one two three four")], [span(10, 11), span(13.6, 14)])
    for word in transcript.segments[0].words:
        middle = (word.span.start + word.span.end) / 2 / RATE
        assert middle <= 11 or middle >= 13.6 or word.span.start < 11 * RATE


def test_edges_are_found_in_the_sound_inside_a_generous_detector():
    scene = dialogue([SyntheticVoice(120), SyntheticVoice(210, 1.18)], [0, 1, 0, 1], rate=16000)
    padded = [s.pad(2400, 2400) for s in scene.speech]
    cues = [Cue(s, f"Some words of line {i}.") for i, s in enumerate(padded)]
    told = CueClusters().diarize(scene.sound, padded, cues)
    transcript = transcribe(cues, padded, told, sound=scene.sound)
    late_s = [
        (line.span.start - true.start) / 16000
        for line, true in zip(transcript.lines, scene.speech, strict=True)
    ]
    assert max(abs(s) for s in late_s) <= 0.04


def test_turns_of_another_engine_will_do():
    """Nothing but turns is needed: they may come from any diarizer, and not fit the cues."""
    turns = (Turn(span(9, 11.4), "SPEAKER_01"), Turn(span(11.6, 15), "SPEAKER_00"))
    transcript = transcribe(
        [cue(10, 11.5, "Mine."), cue(12, 14, "Yours.")], [span(9, 15)], Diarization(RATE, turns)
    )
    assert [s.speaker for s in transcript.segments] == ["SPEAKER_01", "SPEAKER_00"]


class Silence(SoundInMemory):
    """Hours of nothing in no memory."""

    def __init__(self, samples):
        super().__init__(np.zeros(1, np.float32), RATE)
        self._length = samples

    @property
    def samples(self):
        return self._length

    def read(self, start, stop):
        return np.zeros((1, stop - start), np.float32)


def test_two_hours_of_cues_take_time_in_proportion_to_their_number():
    sound = Silence(9000 * RATE)

    def seconds(count):
        cues = [cue(i * 1.5, i * 1.5 + 1.4, f"This is line {i} of it.") for i in range(count)]
        speech = [span(i * 1.5, i * 1.5 + 1.3) for i in range(count)]
        begin = time.process_time()
        assert len(transcribe(cues, speech, sound=sound).segments) == count
        return time.process_time() - begin

    seconds(200)
    assert seconds(4000) < 10 * 2.5 * seconds(400)


def test_the_voice_in_the_reader_is_used_in_stereo_and_at_any_rate():
    voice = speak(SyntheticVoice(130), 2.0, 44100)
    sound = SoundInMemory(np.stack([voice, voice]), 44100)
    transcript = transcribe(
        [Cue(Span(0, 88200), "Hello to you all.")], [Span(0, 88200)], sound=sound
    )
    assert transcript.rate == 44100
    assert transcript.samples == 88200
