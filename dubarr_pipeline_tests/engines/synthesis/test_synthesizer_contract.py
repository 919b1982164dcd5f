"""What every synthesizer promises. A new engine is one more row in ENGINES."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from dubarr_pipeline.compute.service_process import ServiceProcess
from dubarr_pipeline.engines.interfaces import Synthesizer
from dubarr_pipeline.engines.synthesis.espeak import EspeakSynthesizer
from dubarr_pipeline.engines.synthesis.kokoro import KokoroOptions, KokoroSynthesizer
from dubarr_pipeline.engines.synthesis.openai import OpenAISpeechOptions, OpenAISynthesizer
from dubarr_pipeline.engines.synthesis.supertonic import SupertonicOptions, SupertonicSynthesizer
from dubarr_pipeline.engines.synthesis.tone import ToneSynthesizer
from dubarr_pipeline.engines.synthesis.xtts import XttsOptions, XttsSynthesizer, xtts_process
from dubarr_pipeline.errors import LanguageError, LineError
from dubarr_pipeline_tests.fakes.simulated_services import SimulatedServer
from dubarr_pipeline_tests.fakes.tiny import kokoro, supertonic
from dubarr_pipeline_tests.fixtures.speech_meters import request


class OverHTTP(OpenAISynthesizer):
    """A voice behind a server of its own, for as long as it is used."""

    def __init__(self, *, fits_duration: bool = False) -> None:
        self._server = SimulatedServer()
        self._server.__enter__()
        options = OpenAISpeechOptions(
            url=self._server.url,
            languages=("es",),
            fits_duration=fits_duration,
            deterministic=True,
        )
        super().__init__(options)

    def __exit__(self, *_: object) -> None:
        super().__exit__(*_)
        self._server.die()


ENGINES: dict[str, Callable[[], Synthesizer]] = {
    "openai": OverHTTP,
    "openai-asked": lambda: OverHTTP(fits_duration=True),
    "espeak": EspeakSynthesizer,
    "tone": ToneSynthesizer,
    "tone-natural": lambda: ToneSynthesizer(fits_duration=False),
}
SHORT, LONG = "Un dragón.", "He estado sola desde que tengo memoria, y no recuerdo a nadie más."


@pytest.fixture(scope="module")
def speech_process(
    tiny_xtts: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceProcess]:
    """Our speech server, started once for all tests: it takes seconds to import its libraries."""
    options = XttsOptions(str(tiny_xtts), "cpu")
    process = xtts_process(options, tmp_path_factory.mktemp("logs"))
    yield process
    process.close()


@pytest.fixture(params=[*sorted(ENGINES), "kokoro-hub", "kokoro-release", "supertonic", "xtts"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Synthesizer]:
    if request.param.startswith("kokoro"):
        layout = request.param.removeprefix("kokoro-")
        made = KokoroSynthesizer(KokoroOptions(str(kokoro.build(tmp_path / "kokoro", layout))))
    elif request.param == "supertonic":
        folder = supertonic.build(tmp_path / "supertonic")
        made = SupertonicSynthesizer(SupertonicOptions(str(folder), steps=2))
    elif request.param == "xtts":
        folder = request.getfixturevalue("tiny_xtts")
        process = request.getfixturevalue("speech_process")
        made = XttsSynthesizer(XttsOptions(str(folder), "cpu", fit_duration=True), host=process)
    else:
        made = ENGINES[request.param]()
    with made as loaded:
        yield loaded


def test_sound_is_mono_float_within_full_scale_and_not_silent(engine: Synthesizer) -> None:
    speech = engine.speak(request(LONG))
    assert speech.samples.dtype == np.float32
    assert speech.samples.ndim == 1
    assert np.isfinite(speech.samples).all()
    assert 0.05 < np.abs(speech.samples).max() <= 1
    assert 8000 <= speech.rate <= 48000


def test_edges_are_without_silence(engine: Synthesizer) -> None:
    speech = engine.speak(request(LONG))
    edge = round(0.03 * speech.rate)
    floor = np.abs(speech.samples).max() * 0.002
    assert np.abs(speech.samples[:edge]).max() > floor
    assert np.abs(speech.samples[-edge:]).max() > floor


def test_longer_texts_take_longer(engine: Synthesizer) -> None:
    lengths = [
        (sound := engine.speak(request(" ".join([SHORT] * n)))).samples.size / sound.rate
        for n in (1, 2, 4, 8)
    ]
    ratios = [after / before for before, after in pairwise(lengths)]
    assert all(1.5 < ratio < 3 for ratio in ratios)


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_duration_is_honoured_where_it_is_promised(engine: Synthesizer, factor: float) -> None:
    natural = engine.speak(request(LONG))
    natural_s = natural.samples.size / natural.rate
    asked = engine.speak(request(LONG, duration_s=natural_s * factor))
    got = asked.samples.size / asked.rate / natural_s
    assert got == pytest.approx(factor if engine.fits_duration else 1.0, rel=0.03)


def test_a_language_that_is_not_served_is_refused_by_name(engine: Synthesizer) -> None:
    unknown = "tlh" if not engine.serves("tlh") else ""
    assert not engine.serves(unknown)
    with pytest.raises(LanguageError):
        engine.speak(request(LONG, language=unknown))


@pytest.mark.parametrize("text", ["", "   ", "...", "¿?", "—"])
def test_a_line_without_words_is_a_named_failure(engine: Synthesizer, text: str) -> None:
    with pytest.raises(LineError) as failed:
        engine.speak(request(text))
    assert failed.value.failure == "unspeakable"


def test_unloading_twice_or_unloaded_is_harmless(engine: Synthesizer) -> None:
    engine.unload()
    engine.unload()
    engine.load()
    assert engine.speak(request(SHORT)).samples.size


def test_a_deterministic_engine_repeats_itself_after_a_reload(engine: Synthesizer) -> None:
    if not engine.deterministic:
        assert engine.speak(request(SHORT)).samples.size
        return
    before = engine.speak(request(LONG, pitch_hz=140.0)).samples
    engine.speak(request("Otra cosa.", pitch_hz=220.0, speaker="SPEAKER_03"))
    engine.unload()
    engine.load()
    for earlier in ("", "La torre.", "Un perro rojo, rápido.", SHORT):
        if earlier:
            engine.speak(request(earlier, pitch_hz=97.0))
        np.testing.assert_array_equal(before, engine.speak(request(LONG, pitch_hz=140.0)).samples)


def test_lines_spoken_from_several_threads_are_what_they_are_alone(engine: Synthesizer) -> None:
    texts = [f"{SHORT} {'Otra vez. ' * n}" for n in range(6)]
    alone = [engine.speak(request(text)).samples for text in texts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda text: engine.speak(request(text)).samples, texts))
    if engine.deterministic:
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one, other)


def test_identity_and_needs_are_known_without_loading(engine: Synthesizer) -> None:
    engine.unload()
    assert engine.name in engine.identity()
    assert all(need.present for need in engine.needs())
