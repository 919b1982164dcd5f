"""The network of Firefox's models, and the layout of its files."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from dubarr_pipeline.engines.translation.marian import (
    END,
    Shortlist,
    Student,
    read_file,
    read_weights,
)
from dubarr_pipeline_tests.fakes.tiny.marian import (
    DEPTHS,
    DESCRIPTION,
    HEADS,
    random_weights,
    write_model,
    write_shortlist,
)

WORDS = 40
SCORES = {
    (5, 9, 12): (-5.321, -5.9993, -6.226, -6.2865),
    (7,): (-8.8494, -9.2264, -9.2507, -9.3582),
}
"""Source -> log probabilities of the four likeliest translations by the random weights of seed 0.

Written down when the same code agreed with Mozilla's own engine on real weights, line by line.
"""


@pytest.fixture
def shortlist(tmp_path: Path) -> Shortlist:
    write_shortlist(tmp_path / "lex.bin", WORDS)
    return Shortlist.read(read_file(tmp_path / "lex.bin"))


@pytest.fixture
def student(tmp_path: Path, shortlist: Shortlist) -> Student:
    write_model(tmp_path / "model.bin.gz", random_weights(WORDS))
    return Student(*read_weights(read_file(tmp_path / "model.bin.gz")), shortlist)


@pytest.mark.parametrize("source", SCORES)
def test_a_random_student_computes_what_it_always_did(student: Student, source: tuple[int, ...]):
    found = student.translate(source, 4, 8)
    assert [each.score for each in found] == pytest.approx(SCORES[source], abs=2e-3)


def test_the_likeliest_comes_first_and_a_beam_finds_no_worse(student: Student):
    (one,) = student.translate((5, 9, 12), 1, 8)
    several = student.translate((5, 9, 12), 4, 8)
    assert len(several) == 4
    assert [each.mean for each in several] == sorted((e.mean for e in several), reverse=True)
    assert several[0].mean >= one.mean - 1e-6
    assert all(END not in each.words[:-1] and len(each.words) <= 8 for each in several)


def test_matrices_come_back_as_they_were_but_for_eight_bits(tmp_path: Path):
    written = random_weights(WORDS)
    write_model(tmp_path / "model.bin", written)
    read, described = read_weights(read_file(tmp_path / "model.bin"))
    assert read.keys() == written.keys()
    assert "dec-cell: ssru" in described
    for name, matrix in written.items():
        assert read[name].shape == matrix.shape
        assert np.abs(read[name] - matrix).max() <= np.abs(matrix).max() / 127


def test_embeddings_of_two_languages_may_differ(tmp_path: Path, shortlist: Shortlist):
    weights = random_weights(WORDS)
    shared = weights.pop("Wemb")
    apart = {**weights, "encoder_Wemb": shared, "decoder_Wemb": shared}
    description = DESCRIPTION.format(*DEPTHS, HEADS)
    (said,) = Student(apart, description, shortlist).translate((7,), 1, 8)
    (same,) = Student({**weights, "Wemb": shared}, description, shortlist).translate((7,), 1, 8)
    assert said == same


def test_only_words_of_the_shortlist_are_said(student: Student):
    lists = Shortlist(3, np.array([0, 0, 0, 2, 2], np.uint64), np.array([11, 30], np.uint32))
    # The unknown word is never among them, and what the list does not know adds none.
    assert lists.allowed([2, 3, 99]).tolist() == [0, 2, 11, 30]
    assert lists.allowed([3]).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("ssru", "gru", "dec-cell is 'gru'"),
        ('preprocess: ""', "preprocess: n", "preprocess is 'n'"),
        ("relu", "swish", "activation is 'swish'"),
    ],
)
def test_a_model_that_is_built_otherwise_is_refused(
    shortlist: Shortlist, old: str, new: str, named: str
):
    description = DESCRIPTION.format(*DEPTHS, HEADS).replace(old, new)
    with pytest.raises(ValueError, match=named):
        Student(random_weights(WORDS), description, shortlist)


def test_files_that_are_cut_or_are_others_are_refused(tmp_path: Path):
    write_model(tmp_path / "model.bin", random_weights(WORDS))
    whole = (tmp_path / "model.bin").read_bytes()
    for content in (b"", whole[:10], whole[:100], whole[: len(whole) // 2], b"\0" * 4096):
        with pytest.raises(ValueError, match="model"):
            read_weights(content)
    other = whole.replace(struct.pack("<Q", 0x4101), struct.pack("<Q", 0x4111))
    with pytest.raises(ValueError, match="other machines"):
        read_weights(other)
    write_shortlist(tmp_path / "lex.bin", WORDS)
    words = (tmp_path / "lex.bin").read_bytes()
    for content in (b"", words[:47], words[:-4], b"\0" * 4096):
        with pytest.raises(ValueError, match="shortlist"):
            Shortlist.read(content)
