# ruff: noqa: RUF001 - phonemes look like letters
"""Kokoro's voices: spelling, lengths, choice of voice, and what a damaged model says."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from dubarr_pipeline.engines.interfaces import Need, SpeechRequest, Voice
from dubarr_pipeline.engines.synthesis import kokoro_readers
from dubarr_pipeline.engines.synthesis.kokoro import KokoroOptions, KokoroSynthesizer
from dubarr_pipeline.engines.synthesis.kokoro_model import KokoroModel, voice_names
from dubarr_pipeline.engines.synthesis.kokoro_text import (
    MOST_TOKENS,
    accents,
    find_accent,
    spell,
    tokens,
)
from dubarr_pipeline.errors import EngineError, LineError, MissingRequirement
from dubarr_pipeline.script.model import SpeakerProfile
from dubarr_pipeline.text.tables import read_table
from dubarr_pipeline_tests.fakes.tiny import kokoro
from dubarr_pipeline_tests.fixtures.speech_meters import median_f0_hz, request

LINE = "He estado sola desde que tengo memoria, y no recuerdo a nadie más."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return kokoro.build(tmp_path / "kokoro")


def network(folder: Path, change: Callable[[onnx.GraphProto], None]) -> None:
    """Change the graph of a tiny model."""
    path = folder / "onnx" / "model_quantized.onnx"
    model = onnx.load(path)
    change(model.graph)
    onnx.save(model, path)


def opened(folder: Path, threads: int = 0) -> KokoroSynthesizer:
    return KokoroSynthesizer(KokoroOptions(str(folder), threads))


def spoken_by(name: str | None, text: str = LINE, language: str = "es") -> SpeechRequest:
    return SpeechRequest(
        text, language, Voice("SPEAKER_00", SpeakerProfile("SPEAKER_00"), name=name)
    )


@pytest.mark.parametrize(
    ("language", "text", "spelled"),
    [
        ("en", "They go home, boy!", "ðA ɡˌO hˈOm, bˈY!"),
        ("en", "A little bird.", "ə lˈɪTᵊl bˈɜɹd."),
        ("en-GB", "Go there, bird.", "ɡˌQ ðˈɛː, bˈɜːd."),
        ("es", "¿Qué chico? ¡Sí!", "kˈe ʧˈiko? sˈi!"),
        ("fr", "Un bon vin...", "œ̃ bˈɔ̃ vˈɛ̃…"),
        ("it", "Pizza (subito)", "pˈiʦːa (sˈubito)"),
        ("pt", "Noite - dia", "nˈoɪʧy ʤˈiæ"),
        ("hi", "नमस्ते।", "nəmˈʌsteː."),
    ],
)
def test_text_is_spelled_as_the_model_was_trained(language: str, text: str, spelled: str) -> None:
    accent = find_accent(language)
    assert accent is not None
    assert spell(text, language, accent) == spelled


def test_signs_that_the_model_does_not_know_are_left_out_and_accents_taken_apart() -> None:
    assert tokens("aɮõ", {"a": 1, "o": 2, "\u0303": 3}) == [1, 2, 3]


@pytest.mark.parametrize(
    ("language", "tag"),
    [("en-AU", "en"), ("en-GB", "en-GB"), ("es-MX", "es"), ("pt", "pt-BR"), ("pt-BR", "pt-BR")],
)
def test_regions_are_spoken_with_the_nearest_accent(language: str, tag: str) -> None:
    accent = find_accent(language)
    assert accent is not None
    assert accent.tag == tag


@pytest.mark.parametrize("language", ["pt-PT", "de", "yue", "yue-HK", ""])
def test_other_languages_are_not_served(language: str) -> None:
    engine = KokoroSynthesizer()
    assert not engine.serves(language)
    assert engine.voices(language) == ()


def test_a_british_voice_keeps_its_accent_unless_another_is_asked_for() -> None:
    assert find_accent("en", "bf_emma") == accents()["b"]
    assert find_accent("en-GB", "af_heart") == accents()["a"]
    assert find_accent("es", "bf_emma") == accents()["e"]


def test_the_length_is_known_before_and_takes_one_rendering(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken: list[float] = []
    sound = KokoroModel.sound

    def counted(self: KokoroModel, numbers: list[int], voice: str, speed: float) -> object:
        spoken.append(speed)
        return sound(self, numbers, voice, speed)

    monkeypatch.setattr(KokoroModel, "sound", counted)
    with opened(folder) as engine:
        natural_s = engine.natural_s(request(LINE))
        assert natural_s is not None
        assert spoken == []
        for factor in (0.8, 0.9, 1.0, 1.1, 1.25):
            take = engine.speak(request(LINE, duration_s=natural_s * factor))
            assert take.samples.size / take.rate == pytest.approx(natural_s * factor, rel=0.02)
        assert len(spoken) == 5
        assert spoken == sorted(spoken, reverse=True)


def test_a_length_beyond_clear_speech_is_approached_only(folder: Path) -> None:
    with opened(folder) as engine:
        natural_s = engine.natural_s(request(LINE)) or 0.0
        longest = engine.speak(request(LINE, duration_s=natural_s * 5))
        shortest = engine.speak(request(LINE, duration_s=natural_s / 5))
    assert 1.4 < longest.samples.size / longest.rate / natural_s < 1.8
    assert 0.5 < shortest.samples.size / shortest.rate / natural_s < 0.8


def test_a_model_that_does_not_tell_its_lengths_still_fits_them(folder: Path) -> None:
    def hide(graph: onnx.GraphProto) -> None:
        at = next(i for i, node in enumerate(graph.node) if node.op_type == "Div")
        graph.node[at].op_type = "Mul"
        graph.node[at].input[1] = "pace"
        graph.node.insert(at, helper.make_node("Reciprocal", ["speed"], ["pace"]))

    network(folder, hide)
    with opened(folder) as engine:
        assert engine.natural_s(request(LINE)) is None
        natural = engine.speak(request(LINE))
        asked = engine.speak(request(LINE, duration_s=natural.samples.size / natural.rate * 1.2))
    assert asked.samples.size / natural.samples.size == pytest.approx(1.2, rel=0.08)


def test_a_network_that_draws_random_numbers_is_not_called_deterministic(folder: Path) -> None:
    def add(graph: onnx.GraphProto) -> None:
        graph.node.insert(0, helper.make_node("RandomNormal", [], ["noise"], shape=[1]))

    assert opened(folder).deterministic
    network(folder, add)
    with opened(folder) as engine:
        assert not engine.deterministic


def test_a_line_that_is_waited_for_gets_all_cores_and_sounds_the_same(folder: Path) -> None:
    with opened(folder, threads=3) as engine:
        take = engine.speak(request(LINE))
    hurried = opened(folder, threads=3)
    hurried.hurry()
    assert hurried.concurrency == 1
    with hurried:
        assert np.array_equal(hurried.speak(request(LINE)).samples, take.samples)
        with pytest.MonkeyPatch.context() as patch:
            # What was planned a moment ago is not planned again.
            patch.setattr(KokoroModel, "frames", None)
            assert hurried.natural_s(request(LINE))


def test_a_long_text_is_spoken_whole_in_parts(folder: Path) -> None:
    text = " ".join([LINE] * 12)
    with opened(folder) as engine:
        one, all_of_it = engine.natural_s(request(LINE)), engine.natural_s(request(text))
        take = engine.speak(request(text))
        assert one is not None
        assert all_of_it is not None
    model = KokoroModel(folder)
    parts = [len(part.numbers) for part in model.passages(text, "es", "ef_dora")]
    model.close()
    assert len(parts) > 1
    assert max(parts) <= MOST_TOKENS
    assert all_of_it == pytest.approx(12 * one, rel=0.1)
    assert take.samples.size / take.rate == pytest.approx(all_of_it, rel=0.02)


def test_the_voice_that_was_dealt_speaks(folder: Path) -> None:
    with opened(folder) as engine:
        for name, hertz in kokoro.VOICES.items():
            take = engine.speak(spoken_by(name))
            assert median_f0_hz(take.samples, take.rate) == pytest.approx(hertz, rel=0.03)


def test_a_persons_choice_speaks_and_else_the_nearest_voice(folder: Path) -> None:
    def pitch(**profile: Any) -> float:
        take = engine.speak(request(LINE, **profile))
        return median_f0_hz(take.samples, take.rate)

    with opened(folder) as engine:
        assert pitch(voices={"es": "bm_george"}) == pytest.approx(110, rel=0.03)
        assert pitch(gender="male", pitch_hz=260.0) == pytest.approx(105, rel=0.03)
        assert pitch(pitch_hz=180.0) == pytest.approx(190, rel=0.03)
        assert pitch(pitch_hz=90.0) == pytest.approx(105, rel=0.03)
        first, second = pitch(), pitch(speaker="SPEAKER_01")
    assert {round(first, -1), round(second, -1)} == {190, 100}


def test_an_unknown_voice_fails_the_line_with_the_choices(folder: Path) -> None:
    with opened(folder) as engine, pytest.raises(LineError, match="ef_dora, em_alex") as failed:
        engine.speak(spoken_by("af_nobody"))
    assert failed.value.failure == "unknown_voice"


def test_voices_are_listed_natives_first_with_sex_and_pitch() -> None:
    engine = KokoroSynthesizer()
    voices = engine.voices("es")
    assert [voice.name for voice in voices[:3]] == ["ef_dora", "em_alex", "em_santa"]
    assert {voice.native for voice in voices[:3]} == {True}
    assert not any(voice.native for voice in voices[3:])
    assert all(voice.pitch_hz and voice.sex for voice in voices)
    british = engine.voices("en-GB")
    assert british[0].name.startswith("b")
    assert len(engine.voices("en")) == len(british) == 28


def test_every_language_has_several_voices_of_both_sexes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        kokoro_readers,
        "package_need",
        lambda package, _, cure: Need("package", package, True, cure),
    )
    engine = KokoroSynthesizer()
    for language in engine.languages:
        voices = engine.voices(language)
        assert len({voice.name for voice in voices}) == len(voices) >= 4, language
        assert {"male", "female"} <= {voice.sex for voice in voices}, language


def test_the_table_of_voices_is_that_of_the_model() -> None:
    table = read_table("dubarr_pipeline.engines.synthesis", "kokoro_voices")
    assert len(table["voices"]) == 54
    for name, facts in table["voices"].items():
        assert 70 < facts["pitch_hz"] < 350
        assert facts["sex"] == {"f": "female", "m": "male"}[name[1]]
    guests = {guest for listed in table["guests"].values() for guest in listed.split()}
    assert guests <= set(table["voices"])


def test_only_voices_that_are_here_are_offered(folder: Path) -> None:
    assert voice_names(folder) == set(kokoro.VOICES)
    assert [v.name for v in opened(folder).voices("es") if v.native] == ["ef_dora", "em_alex"]


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_the_types_of_the_inputs_are_the_exports_choice(folder: Path, kind: type) -> None:
    def retype(graph: onnx.GraphProto) -> None:
        graph.input[0].type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        graph.input[2].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
        made = helper.make_node("Cast", ["speed"], ["pace"], to=onnx.TensorProto.FLOAT)
        for node in graph.node:
            node.input[:] = ["pace" if name == "speed" else name for name in node.input]
        graph.node.insert(0, made)

    network(folder, retype)
    with opened(folder) as engine:
        natural_s = engine.natural_s(request(LINE)) or 0.0
        take = engine.speak(request(LINE, duration_s=natural_s * 1.1))
    assert take.samples.size / take.rate == pytest.approx(natural_s * 1.1, rel=0.02)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("onnx/model_quantized.onnx", r"no Kokoro model \(\*\.onnx\)"),
        ("tokenizer.json", "no vocabulary"),
    ],
)
def test_missing_files_are_named_with_the_cure(folder: Path, missing: str, message: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(MissingRequirement, match=f"{message}.*pull"):
        opened(folder).load()


@pytest.mark.parametrize("damaged", ["<html>", "[]", '{"model": {"vocab": {"a": "b"}}}'])
def test_a_damaged_vocabulary_is_named(folder: Path, damaged: str) -> None:
    (folder / "tokenizer.json").write_text(damaged)
    with pytest.raises(EngineError, match=r"tokenizer\.json holds no vocabulary.*pull it again"):
        opened(folder).load()


def test_a_damaged_network_is_named_with_the_cure(folder: Path) -> None:
    path = folder / "onnx" / "model_quantized.onnx"
    for damaged in (b"", path.read_bytes()[:500], b"<html>not found</html>"):
        path.write_bytes(damaged)
        with pytest.raises(EngineError, match=r"model_quantized\.onnx.*fetch the model again"):
            opened(folder).load()


def test_another_network_is_refused_by_its_inputs(folder: Path) -> None:
    def rename(graph: onnx.GraphProto) -> None:
        graph.input[1].type.tensor_type.shape.dim.add().dim_value = 3

    network(folder, rename)
    with pytest.raises(EngineError, match=r"is not a Kokoro model: it takes input_ids"):
        opened(folder).load()


def test_damaged_and_vanished_voices_end_their_lines_alone(folder: Path) -> None:
    (folder / "voices" / "ef_dora.bin").write_bytes(b"abc" * 1001)
    with opened(folder) as engine:
        with pytest.raises(EngineError, match="'ef_dora' of Kokoro is damaged"):
            engine.speak(spoken_by("ef_dora"))
        assert engine.speak(spoken_by("em_alex")).samples.size


def test_a_sound_that_is_no_number_fails_the_line(folder: Path) -> None:
    def spoil(graph: onnx.GraphProto) -> None:
        for constant in graph.initializer:
            if constant.name == "loud":
                constant.CopyFrom(numpy_helper.from_array(np.array(math.inf, np.float32), "loud"))

    network(folder, spoil)
    with opened(folder) as engine, pytest.raises(LineError) as failed:
        engine.speak(request(LINE))
    assert failed.value.failure == "not_finite"


def test_threads_bound_the_lines_at_once(folder: Path) -> None:
    assert opened(folder, threads=3).concurrency == 3
    assert 1 <= opened(folder).concurrency <= 4
