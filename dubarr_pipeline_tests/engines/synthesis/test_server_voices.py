"""Servers that know less than we could tell them, and the voices that they list."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dubarr_pipeline.config.settings import parse_settings
from dubarr_pipeline.engines.interfaces import SpeechRequest, Voice
from dubarr_pipeline.engines.synthesis.openai import OpenAISpeechOptions, OpenAISynthesizer
from dubarr_pipeline.errors import BadReply, SettingsError
from dubarr_pipeline.media.audio.wav import write_wave
from dubarr_pipeline.script.model import SpeakerProfile
from dubarr_pipeline_tests.fakes.strict_speech import KNOWN, StrictSpeechServer

TEXT = "La casa de la noche"
NATURAL_S = 0.1 * len(TEXT)


def engine(server: StrictSpeechServer, **options: Any) -> OpenAISynthesizer:
    facts = {"url": server.url, "timeout_s": 5.0, "attempts": 2, "backoff_s": 0.001, **options}
    return OpenAISynthesizer(OpenAISpeechOptions(**facts))


def request(
    duration_s: float | None = None, natural_s: float | None = None, ref: Path | None = None
) -> SpeechRequest:
    voice = Voice("S", SpeakerProfile("S"), ref, name="nova")
    return SpeechRequest(TEXT, "es", voice, duration_s, natural_s)


@pytest.mark.parametrize("refusal", [400, 422])
def test_a_server_that_knows_no_more_than_it_must_is_asked_once_for_more(
    tmp_path: Path, refusal: int, caplog: pytest.LogCaptureFixture
):
    ref = tmp_path / "ref.wav"
    write_wave(ref, np.ones(24000, np.float32), 24000)
    with (
        caplog.at_level(logging.WARNING),
        StrictSpeechServer(refusal=refusal) as server,
        engine(server) as voice,
    ):
        for _ in range(3):
            spoken = voice.speak(request(ref=ref))
            assert spoken.samples.size / spoken.rate == pytest.approx(NATURAL_S, abs=0.02)
    assert server.refused == 1
    assert [set(order) for order in server.orders] == [{*KNOWN}] * 3
    assert {order["voice"] for order in server.orders} == {"nova"}
    assert "asked without language, ref_audio from now on" in caplog.text


def test_one_that_is_told_to_take_extensions_is_asked_for_them_alone():
    with StrictSpeechServer() as server, engine(server, extensions="always") as voice:
        for _ in range(2):
            with pytest.raises(BadReply, match="language"):
                voice.speak(request())
    assert server.refused == 2


def test_none_are_sent_where_the_settings_say_never():
    with StrictSpeechServer() as server, engine(server, extensions="never") as voice:
        voice.speak(request())
    assert server.refused == 0


def test_a_line_that_is_refused_either_way_does_not_stop_the_extensions():
    with (
        StrictSpeechServer(known=frozenset({*KNOWN, "language"} - {"input"})) as server,
        engine(server) as voice,
    ):
        with pytest.raises(BadReply):
            voice.speak(request())
        server.known = frozenset({*KNOWN, "language"})
        voice.speak(request())
    assert set(server.orders[0]) == {*KNOWN, "language"}


@pytest.mark.parametrize("factor", [0.8, 0.95, 1.0, 1.2])
@pytest.mark.parametrize("known_s", [NATURAL_S, 0.8 * NATURAL_S, None])
def test_speed_hits_the_duration(factor: float, known_s: float | None):
    known = frozenset({*KNOWN, "speed", "language"})
    with StrictSpeechServer(known) as server, engine(server, fits_duration="speed") as voice:
        wanted_s = factor * NATURAL_S
        spoken = voice.speak(request(wanted_s, known_s))
    assert spoken.samples.size / spoken.rate == pytest.approx(wanted_s, rel=0.035)
    assert len(server.orders) <= 2
    assert all("duration_s" not in order for order in server.orders)


def test_a_server_that_ignores_speed_is_asked_for_it_no_more():
    known = frozenset({*KNOWN, "speed", "language"})
    with (
        StrictSpeechServer(known, honours_speed=False) as server,
        engine(server, fits_duration="speed") as voice,
    ):
        for _ in range(3):
            assert voice.speak(request(0.8 * NATURAL_S, NATURAL_S)).samples.size
    assert ["speed" in order for order in server.orders] == [True, True, False, False]


LISTS = (
    {"voices": ["nova", "em_alex"]},
    {"voices": [{"id": "nova", "name": "Nova"}, {"name": "em_alex"}]},
    {"voices": [{"voice_id": "nova", "gender": "Female", "language": "en-US"}, "em_alex"]},
    {"data": [{"id": "nova", "languages": ["en", "??"]}, {"id": "em_alex", "language": "es"}]},
    ["nova", {"voice": "em_alex"}, {"id": 5}, None, {"id": ""}],
    {"voices": {"nova": {"gender": "f"}, "em_alex": None}},
)


@pytest.mark.parametrize("listed", LISTS)
def test_the_voices_that_a_server_lists_are_dealt(listed: object):
    with StrictSpeechServer(listed=listed) as server, engine(server) as voice:
        found = {each.name: each for each in voice.voices("es")}
        english = {each.name: each for each in voice.voices("en")}
    assert found["em_alex"].sex == "male"
    assert english["nova"].sex == "female"
    # Where nobody has said for which language a voice was made, it is for all.
    assert set(found) == ({"em_alex"} if "language" in str(listed) else {"nova", "em_alex"})
    assert set(english) == {"nova"}
    assert all(each.native for each in (*found.values(), *english.values()))


def test_voices_of_other_languages_are_dealt_where_there_is_no_other():
    with StrictSpeechServer(listed=["em_alex", "ef_dora"]) as server, engine(server) as voice:
        assert [each.native for each in voice.voices("de")] == [False, False]


def test_the_first_question_is_asked_in_a_voice_that_there_is():
    with StrictSpeechServer(listed=["em_alex"]) as server, engine(server) as voice:
        voice.try_out(("es",))
    assert [order["voice"] for order in server.orders] == ["em_alex"]


@pytest.mark.parametrize("listed", [None, b"<html>", b"[" * 99_999, {"detail": "x"}, 7, {}])
def test_a_server_without_a_list_leaves_the_voice_of_the_settings(listed: object):
    with StrictSpeechServer(listed=listed) as server, engine(server) as voice:
        assert voice.voices("es") == ()


def test_the_voices_of_the_settings_go_before_the_servers():
    with StrictSpeechServer(listed=["a"]) as server:
        voice = engine(server, voices=("Ana:female", "onyx", "Bo"))
    assert [(each.name, each.sex) for each in voice.voices("es")] == [
        ("Ana", "female"),
        ("onyx", "male"),
        ("Bo", None),
    ]


def test_the_identity_is_the_same_whether_the_server_is_there_or_not():
    with StrictSpeechServer(listed=["a", "b"]) as server:
        voice = engine(server)
        before = voice.identity()
        assert len(voice.voices("es")) == 2
        assert voice.identity() == before
    assert engine(server).identity() == before == "openai default voice=default clones=True"
    assert engine(server).voices("es") == ()


def test_a_voice_of_no_sex_that_there_is_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="male, female, neutral"):
        parse_settings({"synthesis": {"engine": "openai", "voices": ["nova:lady"]}}, tmp_path)
