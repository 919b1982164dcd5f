"""The benchmark of real weights: how it counts, and what it says where there are none."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "real_weights.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("real_weights", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(BENCHMARK.parent))
    sys.modules["real_weights"] = module
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARK.parent))
    return module


@pytest.mark.parametrize("arguments", [(), ("no-weights-here",)])
def test_without_weights_it_says_what_is_not_here(arguments: tuple[str, ...], tmp_path: Path):
    command = (sys.executable, BENCHMARK, *arguments, "--film", tmp_path)
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert found.returncode == 3
    assert "not here" in found.stderr
    assert found.stdout == ""


@pytest.mark.parametrize(
    ("said", "known", "wrong"),
    [
        ("a b c", "a b c", 0),
        ("a x c", "a b c", 1),
        ("a c", "a b c", 1),
        ("a b b c", "a b c", 1),
        ("", "a b c", 3),
        ("b c d e", "a b c d", 2),
        ("no", "yes sir", 2),
    ],
)
def test_wrong_lost_and_added_words_are_counted(
    benchmark: ModuleType, said: str, known: str, wrong: int
):
    assert benchmark.edits(said.split(), known.split()) == wrong


def test_numbers_and_apostrophes_are_no_errors(benchmark: ModuleType):
    assert benchmark.words("It’s 50 years, isn't it?") == benchmark.words(
        "it's fifty years isn't it"
    )


def _film(benchmark: ModuleType) -> object:
    said = [
        ("ANNA", "Where have you been? I waited."),
        ("MARK", "No."),
        ("ANNA", "You never asked."),
    ]
    lines = tuple(
        benchmark.Line(float(at), at + 0.8, who, text) for at, (who, text) in enumerate(said)
    )
    translations = {"es": ("¿Dónde has estado? Te esperé.", "No.", "Nunca preguntaste.")}
    return benchmark.Film(Path("film.mkv"), lines, translations, ("ANNA",))


def test_a_recognised_line_gets_the_translation_of_what_it_holds(benchmark: ModuleType):
    translator = benchmark.KnownLines()
    benchmark.KnownLines.film = _film(benchmark)
    translated = translator.translated
    assert translated("Where have you bean", "es") == "¿Dónde has estado?"
    assert translated("Where have you been? I waited", "es") == "¿Dónde has estado? Te esperé."
    assert translated("I waited. No.", "es") == "Te esperé. No."
    assert translated("no", "es") == "No."
    assert translated("You never asked", "es") == "Nunca preguntaste."


def test_speakers_and_ends_are_compared_with_the_film(benchmark: ModuleType):
    found = [
        {"index": 0, "kind": "speech", "speaker": "B", "start": 0.0, "end": 0.7, "text": "Where"},
        {"index": 1, "kind": "speech", "speaker": "A", "start": 1.0, "end": 1.8, "text": "No."},
        {"index": 2, "kind": "speech", "speaker": "A", "start": 2.0, "end": 2.9, "text": "You"},
    ]
    measured = benchmark.Measured(_film(benchmark), {"segments": found}, {}, 0.0, Path())
    assert measured.speakers_right() == pytest.approx(200 / 3)
    assert measured.ends_off() == pytest.approx([-0.1, 0.0, 0.1])
    assert measured.word_error() == pytest.approx(100 * 7 / 10)


@pytest.mark.parametrize(
    ("value", "must", "better", "fails"),
    [(4.9, 5, "lower", False), (5.1, 5, "lower", True), (96.9, 97, "higher", True)],
)
def test_a_figure_below_its_must_is_told(
    benchmark: ModuleType, value: float, must: float, better: str, fails: bool
):
    assert benchmark._fails(benchmark.Row("figure", value, "%", must, better=better)) is fails
