from __future__ import annotations

import numpy as np
import pytest

from dubarr_pipeline.engines.context.counting import ToneCount, describe_tone, find_terms
from dubarr_pipeline.engines.context.plain import PlainScriptAnalyzer
from dubarr_pipeline.script.model import Diarization, Segment, Transcript, Turn
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.synthetic_voices import SoundInMemory, SyntheticVoice, speak

RATE = 16000
VOICES = (SyntheticVoice(110), SyntheticVoice(220, 1.15))


def script(*lines, line_s=2.0, pause_s=0.5):
    step = round((line_s + pause_s) * RATE)
    segments = tuple(
        Segment(i, Span(i * step, i * step + round(line_s * RATE)), f"SPEAKER_{who:02d}", text)
        for i, (who, text) in enumerate(lines)
    )
    return Transcript(RATE, len(lines) * step, "en", segments)


def turns_of(transcript, names=None):
    turns = tuple(Turn(s.span, s.speaker) for s in transcript.segments)
    return Diarization(RATE, turns, names or {})


def read(transcript, names=None, voices=VOICES):
    sound = np.zeros(transcript.samples, np.float32)
    for s in transcript.segments:
        voice = speak(voices[int(s.speaker[-2:])], s.span.length / RATE, RATE, s.index)
        sound[s.span.start : s.span.end] = voice[: s.span.length]
    reader = SoundInMemory(sound, RATE)
    return PlainScriptAnalyzer().read(transcript, turns_of(transcript, names), reader)


TALK = script(
    (0, "I saw Jordi Mas in Barcelona, Sir."),
    (1, "Where in Barcelona did you see him, Sir?"),
    (0, "At the harbour with Anna."),
    (1, "Then we must find Anna at once."),
)


def test_a_profile_says_what_was_measured_and_calls_a_guess_a_guess():
    low, high = read(TALK, {"SPEAKER_01": "Bert"}).speakers
    assert low.pitch_hz == pytest.approx(110, rel=0.03)
    assert high.pitch_hz == pytest.approx(220, rel=0.03)
    assert (low.gender, high.gender) == ("male", "female")
    assert low.gender_basis == f"guess from pitch {low.pitch_hz:.0f} Hz"
    assert (low.name, high.name) == (None, "Bert")
    # -20 dBFS RMS on one channel is -20.7 LUFS without K-weighting.
    assert low.level_lufs == pytest.approx(-20.7, abs=0.3)
    assert "words a second" in (low.style or "")


@pytest.mark.parametrize(
    ("hz", "gender"), [(140, "male"), (150, None), (170, None), (180, "female")]
)
def test_gender_is_not_guessed_where_registers_overlap(hz, gender):
    profile = read(script((0, "Some words of it.")), voices=(SyntheticVoice(hz),)).speakers[0]
    assert profile.gender == gender
    assert "guess" in (profile.gender_basis or "")


def test_a_silent_speaker_has_a_profile_without_measures():
    transcript = script((0, "Nothing is heard of it."))
    silence = SoundInMemory(np.zeros(transcript.samples), RATE)
    (profile,) = PlainScriptAnalyzer().read(transcript, turns_of(transcript), silence).speakers
    assert (profile.pitch_hz, profile.level_lufs, profile.gender) == (None, None, None)


def test_the_context_counts_who_speaks_and_who_answers():
    context = read(TALK, {"SPEAKER_00": "Ann"}).context
    assert context.synopsis.startswith("2 speakers in 4 lines.")
    assert "Ann (SPEAKER_00): 2 lines" in context.synopsis
    assert "Ann (SPEAKER_00) and SPEAKER_01 answer each other 3 times" in context.relationships


def test_a_name_that_is_called_is_told():
    talk = script((0, "Come here, Bert."), (1, "Yes."), (0, "Bert, hurry up."))
    context = read(talk, {"SPEAKER_01": "Bert"}).context
    assert "SPEAKER_00 calls Bert (SPEAKER_01) by name 2 times" in context.relationships


def test_the_glossary_keeps_names_as_they_are():
    terms = {t.source: t for t in read(TALK).context.glossary}
    assert {"Barcelona", "Jordi Mas", "Anna"} <= set(terms)
    assert not {"I", "Where", "At", "Then", "Sir"} & set(terms)
    assert all(t.kind == "name" and not t.translations for t in terms.values())


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Tell John.", ["John"]),
        ("John came.", []),
        ("He said: John's gone.", ["John"]),
        ("We met Mary Ann Smith there.", ["Mary Ann Smith"]),
        ("From Paris, London and Rome.", ["London", "Paris", "Rome"]),
        ("ALL IS SHOUTED HERE.", []),
        ("And I'm not Mr. Brown.", ["Brown"]),
        ("I saw the Garden. A garden it was, a garden.", []),
    ],
)
def test_terms_are_what_is_capitalised_within_a_sentence(text, terms):
    assert sorted(t.source for t in find_terms(script((0, text)))) == terms


@pytest.mark.parametrize(
    ("tone", "word"),
    [
        (ToneCount(0.0, 0.25, 3, 6, 0, 0), "lively"),
        (ToneCount(0.0, 0.24, 3, 6, 0, 0), "even"),
        (ToneCount(0.0, 0.08, 3, 6, 0, 0), "calm"),
        (ToneCount(0.35, 0.0, 3, 6, 0, 0), "questioning"),
        (ToneCount(0.0, 0.0, 3.6, 6, 0, 0), "fast"),
        (ToneCount(0.0, 0.0, 1.9, 6, 0, 0), "slow"),
        (ToneCount(0.0, 0.0, 3, 3.9, 0, 0), "terse"),
        (ToneCount(0.0, 0.0, 3, 6, 2, 1), "formal"),
        (ToneCount(0.0, 0.0, 3, 6, 0, 2), "informal"),
    ],
)
def test_tone_is_put_into_words_by_its_counts(tone, word):
    assert word in describe_tone(tone).split(" (")[0].split(", ")


def test_formal_scripts_get_formal_address_and_say_it_is_a_guess():
    guides = read(TALK).context.style_guides
    assert "'usted'" in guides["es"].split("likely")[0]
    assert "guess" in guides["es"]
    assert {"es", "ca", "fr", "de", "pt", "it", "pt-BR"} <= set(guides)
    assert "você" in guides["pt-BR"]


def test_the_same_script_is_read_the_same_way():
    assert read(TALK) == read(TALK)


def test_a_script_in_which_nobody_speaks_is_read():
    empty = Transcript(RATE, RATE, "en", ())
    reading = PlainScriptAnalyzer().read(
        empty, Diarization(RATE, ()), SoundInMemory(np.zeros(RATE), RATE)
    )
    assert reading.context.synopsis == "Nobody speaks."
    assert reading.speakers == ()
