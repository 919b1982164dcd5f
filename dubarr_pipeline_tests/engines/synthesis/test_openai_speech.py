from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dubarr_pipeline.engines.interfaces import SpeechRequest, Voice
from dubarr_pipeline.engines.synthesis.openai import OpenAISpeechOptions, OpenAISynthesizer
from dubarr_pipeline.errors import BadReply, LineError, ServiceTimeout, ServiceUnavailable
from dubarr_pipeline.media.audio.wav import write_wave
from dubarr_pipeline.script.model import SpeakerProfile
from dubarr_pipeline.services.speech_client import ref_url
from dubarr_pipeline_tests.fakes.simulated_services import SimulatedOptions, SimulatedServer


@pytest.fixture
def server() -> Iterator[SimulatedServer]:
    with SimulatedServer(SimulatedOptions()) as running:
        yield running


def engine(server: SimulatedServer, **options: Any) -> OpenAISynthesizer:
    facts = {"url": server.url, "timeout_s": 0.3, "attempts": 2, "backoff_s": 0.001, **options}
    return OpenAISynthesizer(OpenAISpeechOptions(**facts))


def request(text: str = "La casa de la noche", duration_s: float | None = None) -> SpeechRequest:
    return SpeechRequest(text, "es", Voice("S", SpeakerProfile("S")), duration_s)


def test_a_line_is_spoken_in_mono_at_the_servers_rate(server: SimulatedServer) -> None:
    with engine(server) as voice:
        spoken = voice.speak(request())
    assert spoken.rate == 8000
    assert spoken.samples.ndim == 1
    assert spoken.samples.dtype == np.float32
    assert spoken.samples.size / spoken.rate == pytest.approx(7 / 6, abs=0.05)


def test_a_duration_is_asked_for_only_where_it_is_honoured(server: SimulatedServer) -> None:
    with engine(server, fits_duration=True) as voice:
        assert voice.fits_duration
        assert voice.speak(request(duration_s=2.0)).samples.size == pytest.approx(16000, abs=200)
    with engine(server) as voice:
        assert voice.speak(request(duration_s=2.0)).samples.size < 12000


def test_faults_are_named(server: SimulatedServer) -> None:
    with engine(server) as voice:
        server.misbehave("tts", "garbage")
        with pytest.raises(BadReply, match="not audio"):
            voice.speak(request())
        server.misbehave("tts", "error")
        with pytest.raises(ServiceUnavailable):
            voice.speak(request())
        server.misbehave("tts", "hang")
        with pytest.raises(ServiceTimeout):
            voice.speak(request())
        server.misbehave("tts", "silence")
        assert voice.speak(request()).samples.size == 0
        with pytest.raises(LineError):
            voice.speak(request("..."))
        assert voice.needs()[0].present
        server.die()
        with pytest.raises(ServiceUnavailable):
            voice.speak(request())


def test_a_reference_goes_along_as_a_data_url(tmp_path: Path) -> None:
    path = tmp_path / "ref.wav"
    write_wave(path, np.zeros(240, np.float32), 24000)
    first = ref_url(path)
    assert first.startswith("data:audio/wav;base64,")
    write_wave(path, np.ones(480, np.float32), 24000)
    assert ref_url(path) != first
