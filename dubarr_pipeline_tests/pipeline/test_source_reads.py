"""A film is inspected once: counted by an ffprobe that notes its calls, through the real CLI."""

from __future__ import annotations

from pathlib import Path

import pytest

from dubarr_pipeline_tests.fixtures.bench import Film, Said, make_film
from dubarr_pipeline_tests.fixtures.counting_ffprobe import CountingFfprobe

SHORT = Film(lines=(Said(0.3, "Good morning. We need a boat.", 2.2),), length_s=2.6)


@pytest.fixture
def counting(tmp_path: Path) -> CountingFfprobe:
    return CountingFfprobe(tmp_path)


def test_a_dub_inspects_its_source_once_and_a_no_op_never(
    counting: CountingFfprobe, tmp_path: Path
):
    film = make_film(tmp_path / "films" / "film.mkv", SHORT)
    dub = ("dub", film, "--to", "es")
    assert counting.run(film, *dub) == 1
    assert counting.run(film, *dub) == 0
    assert counting.run(film, "plan", film) == 0
