from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.script.model import Segment, SpeakerProfile, StockVoice
from dubarr_pipeline.script.speakers.casting import cast_speakers
from dubarr_pipeline.spans import Span

VOICES = (
    StockVoice("dora", "female", "adult", 200.0),
    StockVoice("alex", "male", "adult", 120.0),
    StockVoice("santa", "male", "old", 95.0),
    StockVoice("bella", "female", "adult", 220.0, native=False),
    StockVoice("adam", "male", "adult", 110.0, native=False),
    StockVoice("sam", "neutral", "adult", 160.0),
)


def who(number: int, gender: str | None = "male", pitch_hz: float | None = None, **more: object):
    profile = SpeakerProfile(f"SPEAKER_{number:02d}", gender=gender, pitch_hz=pitch_hz)
    return SpeakerProfile(
        **{**{n: getattr(profile, n) for n in ("speaker", "gender", "pitch_hz")}, **more}
    )  # type: ignore[arg-type]


def talk(*speakers: int, length: int = 10) -> list[Segment]:
    return [
        Segment(at, Span(20 * at, 20 * at + length), f"SPEAKER_{number:02d}", "words")
        for at, number in enumerate(speakers)
    ]


def dealt(
    profiles: Sequence[SpeakerProfile],
    voices: Sequence[StockVoice] = VOICES,
    lines: Sequence[Segment] = (),
    earlier: dict[str, str] | None = None,
) -> dict[str, str]:
    found = cast_speakers(profiles, voices, lines, "es", earlier)
    return {speaker: cast.voice for speaker, cast in found.items()}


def test_sex_then_the_nearest_pitch_decide():
    found = dealt([who(0, "female", 210.0), who(1, "male", 90.0), who(2, "male", 130.0)])
    assert found == {"SPEAKER_00": "dora", "SPEAKER_01": "santa", "SPEAKER_02": "alex"}


def test_the_sum_over_all_counts_and_not_who_comes_first():
    voices = (StockVoice("low", "male", pitch_hz=100.0), StockVoice("high", "male", pitch_hz=140.0))
    # Alone, the first would take the low one, too.
    found = dealt([who(0, "male", 110.0), who(1, "male", 90.0)], voices)
    assert found == {"SPEAKER_00": "high", "SPEAKER_01": "low"}


def test_one_with_an_accent_comes_before_a_shared_one():
    cast = cast_speakers([who(n, "male", 120.0) for n in range(3)], VOICES[:5], (), "es")
    assert {each.voice for each in cast.values()} == {"alex", "santa", "adam"}
    (foreign,) = (each for each in cast.values() if each.voice == "adam")
    assert foreign.warnings == ("accent: the voice was not made for es",)


def test_a_shared_voice_comes_before_one_of_the_wrong_sex():
    voices = (StockVoice("alex", "male"), StockVoice("dora", "female"))
    cast = cast_speakers([who(0), who(1)], voices, talk(0, 0, 1), "es")
    assert {each.voice for each in cast.values()} == {"alex"}
    assert cast["SPEAKER_01"].warnings == ("shared with SPEAKER_00",)


def test_the_wrong_sex_is_said_where_there_is_no_other():
    cast = cast_speakers([who(0), who(1)], VOICES[:1], (), "es")
    assert "a female voice for a male speaker" in cast["SPEAKER_00"].warnings


def test_those_share_who_speak_least_and_never_meet():
    voices = (StockVoice("a", "male"), StockVoice("b", "male"))
    lines = talk(0, 1, 0, 1, 0, 0, 1, 1, 1, 1, 2, 1)
    found = dealt([who(0), who(1), who(2)], voices, lines)
    assert found["SPEAKER_00"] != found["SPEAKER_01"]
    # The third talks with the second alone.
    assert found["SPEAKER_02"] == found["SPEAKER_00"]


def test_an_unknown_sex_takes_a_neutral_voice_and_says_so():
    cast = cast_speakers([who(0, None, 160.0), who(1, None, 118.0)], VOICES, (), "es")
    assert cast["SPEAKER_00"].voice == "sam"
    assert cast["SPEAKER_00"].warnings == ("sex of the speaker unknown: a neutral voice",)
    assert cast["SPEAKER_01"].voice == "alex"
    assert "nearest voice by pitch" in cast["SPEAKER_01"].warnings[0]


def test_a_child_takes_a_childs_voice():
    voices = (*VOICES, StockVoice("kid", "female", "child", 280.0))
    assert dealt([who(0, None, 270.0, age_group="child")], voices) == {"SPEAKER_00": "kid"}
    assert dealt([who(0, "male", 96.0, age_group="elderly")], voices) == {"SPEAKER_00": "santa"}


def test_a_persons_choice_counts_before_all_and_is_nobody_elses():
    chosen = who(1, "male", 120.0, voices={"es": "dora"})
    cast = cast_speakers([who(0, "female", 200.0), chosen], VOICES, (), "es")
    assert (cast["SPEAKER_01"].voice, cast["SPEAKER_01"].by) == ("dora", "person")
    assert cast["SPEAKER_01"].why == "chosen by a person"
    assert cast["SPEAKER_00"].voice == "bella"


def test_two_may_be_given_one_voice_by_a_person():
    both = [who(n, "male", voices={"es": "alex"}) for n in range(2)]
    cast = cast_speakers(both, VOICES, (), "es")
    assert cast["SPEAKER_00"].warnings == ("shared with SPEAKER_01",)


def test_an_unknown_choice_is_named_with_the_choices():
    with pytest.raises(SettingsError, match=r"SPEAKER_00 has no voice 'x' in es: .*dora, alex"):
        dealt([who(0, voices={"es": "x"})])


def test_a_new_speaker_takes_no_voice_away():
    first = dealt([who(1, "male", 130.0)])
    assert first == {"SPEAKER_01": "alex"}
    # Nearer to it than who has it.
    both = dealt([who(0, "male", 120.0), who(1, "male", 130.0)], earlier=first)
    assert both == {"SPEAKER_00": "santa", "SPEAKER_01": "alex"}


@pytest.mark.parametrize(
    ("profile", "voices", "expected"),
    [
        (who(0, "female", 120.0), VOICES, "dora"),
        (who(0, "male", 130.0), VOICES[2:], "santa"),
        (who(0, "male", 130.0, voices={"es": "adam"}), VOICES, "adam"),
        (who(0, None, 130.0), VOICES, "alex"),
        (who(0, "male", 300.0), VOICES, "alex"),
    ],
    ids=["another sex", "it is gone", "a person's", "sex unknown now", "another pitch"],
)
def test_the_earlier_voice_is_kept_while_it_is_allowed(profile, voices, expected):
    assert dealt([profile], voices, earlier={"SPEAKER_00": "alex"}) == {"SPEAKER_00": expected}


def test_who_shared_gets_a_voice_of_their_own_once_there_is_one():
    shared = {"SPEAKER_00": "alex", "SPEAKER_01": "alex"}
    profiles = [who(0), who(1)]
    assert dealt(profiles, VOICES[:2], earlier=shared) == shared
    assert dealt(profiles, VOICES[:3], earlier=shared) == {**shared, "SPEAKER_01": "santa"}


def test_an_engine_without_voices_casts_nobody():
    assert dealt([who(0, voices={"es": "deep"})], ()) == {}


PROFILES = st.lists(
    st.tuples(
        st.sampled_from(["male", "female", None]),
        st.sampled_from([None, 90.0, 150.0, 230.0]),
    ),
    min_size=1,
    max_size=8,
)


@given(PROFILES, st.randoms(use_true_random=False), st.integers(1, len(VOICES)))
def test_all_are_cast_alike_in_any_order_and_again(people, shuffler, count):
    profiles = [who(n, *facts) for n, facts in enumerate(people)]
    lines, voices = talk(*range(len(profiles))), VOICES[:count]
    first = dealt(profiles, voices, lines)
    assert set(first) == {each.speaker for each in profiles}
    mixed = list(profiles)
    shuffler.shuffle(mixed)
    assert dealt(mixed, voices, lines) == first
    assert dealt(mixed, voices, lines, first) == first
    # Nobody shares while one is free that would do for them.
    free = [voice for voice in voices if voice.name not in first.values()]
    for profile in profiles:
        if list(first.values()).count(first[profile.speaker]) > 1:
            fitting = {voice.sex for voice in free} & {profile.gender, "neutral"}
            assert not fitting
            assert profile.gender or not free


def test_a_choice_for_a_language_holds_for_its_regions():
    both = who(1, voices={"pt": "alex", "pt-BR": "santa"})
    cast = cast_speakers([who(0, voices={"pt": "adam"}), both], VOICES, (), "pt-BR")
    assert [each.voice for each in cast.values()] == ["adam", "santa"]
