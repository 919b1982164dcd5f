"""Whom a series knows again: sure ones, proposed ones, new ones, and never a silent swap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.script.model import Diarization, Turn
from dubarr_pipeline.script.speakers.characters import (
    LEAST_S,
    CharacterMatch,
    KnownVoice,
    match_characters,
)
from dubarr_pipeline.script.speakers.series_prints import (
    NETWORK_LIMITS,
    PLAIN,
    PLAIN_LIMITS,
    PrintNetwork,
    VoicePrint,
    measure_prints,
    pooled,
    voice_distance,
)
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.synthetic_voices import (
    SoundInMemory,
    SyntheticVoice,
    speak,
)

SURE, OTHER, AHEAD = PLAIN_LIMITS.sure, PLAIN_LIMITS.other, PLAIN_LIMITS.ahead
RATE = 16_000


def at(who: str, place: float, seconds: float = 30.0, **facts: str) -> KnownVoice:
    """Return a voice on a line, so that distances are differences of places."""
    return KnownVoice(who, {PLAIN: VoicePrint((place, 0.0), seconds)}, **facts)


def match(*speakers: KnownVoice, known: tuple[KnownVoice, ...]) -> dict[str, CharacterMatch]:
    return match_characters(speakers, known)


@pytest.mark.parametrize(
    ("distance", "outcome"),
    [
        (0.0, "same"),
        (SURE, "same"),
        (SURE + 0.01, "proposed"),
        (OTHER - 0.01, "proposed"),
        (OTHER, "new"),
        (50.0, "new"),
    ],
)
def test_a_voice_is_sure_or_proposed_or_new_by_its_distance(distance: float, outcome: str):
    found = match(at("s", distance), known=(at("C01", 0.0),))["s"]
    assert found.outcome == outcome
    assert found.character == (None if outcome == "new" else "C01")
    assert found.distance == pytest.approx(distance, abs=1e-3)


@pytest.mark.parametrize(
    ("margin", "outcome"), [(AHEAD + 0.01, "same"), (AHEAD - 0.01, "proposed")]
)
def test_who_could_be_two_characters_is_surely_neither(margin: float, outcome: str):
    own = 0.4
    found = match(at("s", own), known=(at("C01", 0.0), at("C02", 2 * own + margin)))["s"]
    assert found.outcome == outcome
    assert found.next_distance == pytest.approx(own + margin, abs=1e-3)
    assert outcome == "same" or "C02 is nearly as near" in found.why


def test_a_character_that_two_speakers_could_be_is_surely_neither_s():
    found = match(at("a", 0.2), at("b", -0.3), known=(at("C01", 0.0),))
    assert {each.outcome for each in found.values()} == {"proposed"}


def test_two_speakers_of_a_film_are_two_people():
    """So whoever is only like a character that is surely another's is new."""
    found = match(at("a", 0.0), at("b", SURE + 0.2), known=(at("C01", 0.0),))
    assert (found["a"].outcome, found["b"].outcome) == ("same", "new")


def test_the_sum_counts_and_not_who_comes_first():
    # Both are nearest to C01; together they are C01 and C02.
    found = match(at("a", 0.5), at("b", 0.0), known=(at("C01", 0.0), at("C02", 1.4)))
    assert found["b"].character == "C01"
    assert found["a"].outcome == "proposed"


@pytest.mark.parametrize(
    ("here", "before", "outcome"),
    [
        ({"gender": "male"}, {"gender": "female"}, "proposed"),
        ({"gender": "male"}, {}, "same"),
        ({"name": "Anna"}, {"name": "Ruth"}, "proposed"),
        ({"name": "ANNA"}, {"name": "Anna Bell"}, "same"),
        ({"name": "Anna"}, {}, "same"),
    ],
)
def test_sex_and_names_hold_back_and_never_push(
    here: dict[str, str], before: dict[str, str], outcome: str
):
    assert match(at("s", 0.0, **here), known=(at("C01", 0.0, **before),))["s"].outcome == outcome
    far = match(at("s", 9.0, **before), known=(at("C01", 0.0, **before),))["s"]
    assert far.outcome == "new"


def test_who_said_too_little_is_neither_known_nor_remembered():
    found = match(at("s", 0.0, LEAST_S - 0.1), known=(at("C01", 0.0),))["s"]
    assert (found.outcome, found.character) == ("unheard", None)


def test_everybody_is_new_at_first():
    found = match(at("a", 0.0), at("b", 0.1), known=())
    assert {each.outcome for each in found.values()} == {"new"}


@given(
    st.lists(st.floats(0, 12), min_size=1, max_size=6),
    st.lists(st.floats(0, 12), max_size=6),
)
def test_nobody_is_two_people_and_no_sure_match_is_far(here: list[float], before: list[float]):
    speakers = [at(f"s{n}", place) for n, place in enumerate(here)]
    known = [at(f"C{n}", place) for n, place in enumerate(before)]
    found = match_characters(speakers, known)
    assert list(found) == [each.id for each in speakers]
    same = [each for each in found.values() if each.outcome == "same"]
    assert len({each.character for each in same}) == len(same)
    for each in same:
        assert each.distance is not None
        assert each.distance <= SURE + 1e-3
        assert each.next_distance is None or each.next_distance >= each.distance + AHEAD - 2e-3


def test_the_network_counts_where_both_have_it_and_prints_of_others_do_not():
    east, north = VoicePrint((1.0, 0.0), 9.0), VoicePrint((0.0, 1.0), 9.0)
    plain = VoicePrint((0.0, 0.0), 9.0)
    both = voice_distance({"net": east, PLAIN: plain}, {PLAIN: plain, "net": north})
    assert both == (pytest.approx(1.0), NETWORK_LIMITS)
    assert voice_distance({"net": east, PLAIN: plain}, {"other": east, PLAIN: plain}) == (
        0.0,
        PLAIN_LIMITS,
    )
    assert voice_distance({"net": east}, {"other": east}) is None
    found = match(KnownVoice("s", {"net": east}), known=(KnownVoice("C01", {"other": east}),))
    assert found["s"].outcome == "new"


def test_a_voice_heard_twice_is_the_mean_by_seconds():
    many = [{PLAIN: VoicePrint((0.0,), 10.0)}, {PLAIN: VoicePrint((4.0,), 30.0)}]
    assert pooled(many) == {PLAIN: VoicePrint((3.0,), 40.0)}


def test_prints_tell_synthetic_voices_apart_and_know_them_again():
    voices = {"A": SyntheticVoice(105), "B": SyntheticVoice(210, 1.2)}
    heard = []
    for seed in (1, 20):
        parts = [speak(voices[who], 3.0, RATE, seed + n) for n, who in enumerate("ABAB")]
        turns = [Turn(Span(n * 3 * RATE, (n + 1) * 3 * RATE), who) for n, who in enumerate("ABAB")]
        sound = SoundInMemory(np.concatenate(parts), RATE)
        heard.append(measure_prints(sound, Diarization(RATE, tuple(turns))))
    first, second = heard
    assert first["A"][PLAIN].seconds == 6.0
    alike = [voice_distance(first[who], second[who]) for who in "AB"]
    apart = voice_distance(first["A"], second["B"])
    assert all(each and each[0] <= SURE for each in alike)
    assert apart
    assert apart[0] >= OTHER


def test_a_network_hears_who_has_no_embedding_yet():
    sound = SoundInMemory(speak(SyntheticVoice(120), 4.0, RATE), RATE)
    turns = (Turn(Span(0, 2 * RATE), "A"), Turn(Span(2 * RATE, 4 * RATE), "B"))
    who = Diarization(RATE, turns, embeddings={"A": (0.6, 0.8)})
    network = PrintNetwork("net", lambda mono, rate: (mono.size / rate, 0.0))
    found = measure_prints(sound, who, network)
    assert found["A"]["net"].vector == (0.6, 0.8)
    assert found["B"]["net"] == VoicePrint((1.0, 0.0), 2.0)


def test_who_never_speaks_alone_is_heard_with_others():
    sound = SoundInMemory(speak(SyntheticVoice(120), 4.0, RATE), RATE)
    turns = (Turn(Span(0, 4 * RATE), "A"), Turn(Span(RATE, 3 * RATE), "B"))
    found = measure_prints(sound, Diarization(RATE, turns))
    assert (found["A"][PLAIN].seconds, found["B"][PLAIN].seconds) == (2.0, 2.0)
