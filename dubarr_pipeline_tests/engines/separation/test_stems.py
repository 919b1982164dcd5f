from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from dubarr_pipeline.engines.interfaces import AudioReader, Need, Samples, Separator
from dubarr_pipeline.engines.separation.lite import LiteSeparator
from dubarr_pipeline.engines.separation.stems import write_stems
from dubarr_pipeline.errors import EngineError
from dubarr_pipeline.media.audio.wav import WaveFile, write_wave
from dubarr_pipeline.progress import Progress
from dubarr_pipeline.spans import Span, merge
from dubarr_pipeline_tests.fixtures.separation_sounds import voice, wide

RATE = 8000


class Share(Separator):
    """Takes a share of everything as voice, in blocks of a size, some beyond the speech."""

    name: ClassVar[str] = "share"

    def __init__(self, share: float = 0.5, size: int = 1000, beyond: int = 0) -> None:
        self.share, self.size, self.beyond = np.float32(share), size, beyond

    def identity(self) -> str:
        return self.name

    def needs(self) -> tuple[Need, ...]:
        return ()

    def separate(
        self, source: AudioReader, speech: Sequence[Span]
    ) -> Iterator[tuple[int, Samples]]:
        for span in merge(s.pad(self.beyond, self.beyond) for s in speech):
            for start in range(span.start, span.end, self.size):
                yield start, source.read(start, min(span.end, start + self.size)) * self.share


class Broken(Share):
    """Gives the blocks that it was made with."""

    def __init__(self, *blocks: tuple[int, tuple[int, ...]]) -> None:
        self.blocks = blocks

    def separate(self, *_: object) -> Iterator[tuple[int, Samples]]:
        for start, shape in self.blocks:
            yield start, np.zeros(shape, np.float32)


def split(folder: Path, sound: Samples, separator: Separator, speech: list[Span]):
    """Write, divide, and read again: accompaniment, vocals, report."""
    bed, voices = folder / "bed.wav", folder / "voices.wav"
    write_wave(bed, sound, RATE)
    report = write_stems(bed, voices, separator, speech)
    with WaveFile(bed) as rest, WaveFile(voices) as found:
        assert (found.rate, found.channels, found.samples) == (RATE, *sound.shape)
        assert found.layout == rest.layout
        return rest.read(0, rest.samples), found.read(0, found.samples), report


@given(
    raw=st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 3000)), max_size=6),
    size=st.integers(1, 4000).map(lambda n: max(n, 50)),
    beyond=st.sampled_from([0, 1, 700]),
    channels=st.sampled_from([1, 2, 6]),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_both_stems_add_up_and_nothing_outside_speech_is_touched(
    tmp_path: Path, raw: list[tuple[int, int]], size: int, beyond: int, channels: int
) -> None:
    sound = wide(channels, 10_000, 0.2)
    speech = [Span(start, start + length) for start, length in raw]
    rest, vocals, report = split(tmp_path, sound, Share(0.7, size, beyond), speech)
    outside = np.ones(10_000, bool)
    for span in speech:
        outside[span.start : span.end] = False
    assert_array_equal(rest[:, outside], sound[:, outside])
    assert not vocals[:, outside].any()
    assert_allclose(rest + vocals, sound, atol=1e-7)
    assert report.speech_samples == (~outside).sum()


def test_the_voice_fades_in_and_out_inside_the_span(tmp_path: Path) -> None:
    sound = np.full((1, 4000), 0.5, np.float32)
    _, vocals, _ = split(tmp_path, sound, Share(1.0, 33), [Span(1000, 3000)])
    fade = RATE // 100
    assert vocals[0, 1000] == 0
    assert vocals[0, 2999] == 0
    assert_allclose(vocals[0, 1000 + fade : 3000 - fade], 0.5)
    assert np.abs(np.diff(vocals[0])).max() < 0.5 * 2 / fade
    assert_allclose(vocals[0], vocals[0, ::-1], atol=1e-6)


def test_a_span_that_is_cut_by_blocks_fades_only_at_its_ends(tmp_path: Path) -> None:
    sound = wide(2, 5000, 0.2)
    speech = [Span(100, 4000)]
    first = split(tmp_path, sound, Share(0.7, 10_000), speech)[1]
    second = split(tmp_path, sound, Share(0.7, 37), speech)[1]
    assert_array_equal(first, second)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 159, 160, 161])
def test_spans_shorter_than_the_fades_are_served(tmp_path: Path, length: int) -> None:
    sound = np.full((1, 1000), 0.5, np.float32)
    rest, vocals, report = split(tmp_path, sound, Share(1.0), [Span(500, 500 + length)])
    assert_allclose(rest + vocals, sound)
    assert report.speech_samples == length


@pytest.mark.parametrize("samples", [0, 1, 5000])
def test_without_speech_the_source_stays_and_the_vocals_are_silent(
    tmp_path: Path, samples: int
) -> None:
    sound = wide(2, samples, 0.2)
    rest, vocals, report = split(tmp_path, sound, LiteSeparator(), [])
    assert_array_equal(rest, sound)
    assert not vocals.any()
    assert report.stretches == 0
    assert report.vocals_rms_dbfs == -np.inf


def test_samples_that_are_no_numbers_stay_where_they_are(tmp_path: Path) -> None:
    sound = wide(1, 4000, 0.2)
    sound[0, 1500] = np.nan
    rest, vocals, _ = split(tmp_path, sound, Share(0.7), [Span(1000, 3000)])
    assert np.isnan(rest[0, 1500])
    assert np.isfinite(vocals).all()


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([(1000, (1, 500))], "shape"),
        ([(1000, (500,))], "shape"),
        ([(1000, (2, 2000)), (2500, (2, 500))], "went back"),
        ([(1000, (2, 1999))], "left out 1 of 2000"),
        ([], "left out 2000 of 2000"),
    ],
)
def test_a_separator_that_breaks_its_contract_is_named(
    tmp_path: Path, blocks: list[tuple[int, tuple[int, ...]]], message: str
) -> None:
    with pytest.raises(EngineError, match=message):
        split(tmp_path, wide(2, 4000, 0.1), Broken(*blocks), [Span(1000, 3000)])


def test_progress_ends_when_all_speech_is_done(tmp_path: Path) -> None:
    bed = tmp_path / "a bed: 100% \N{BEAR FACE}.wav"
    write_wave(bed, wide(1, 8000, 0.1), RATE)
    told: list[Progress] = []
    speech = [Span(100, 4000), Span(5000, 6000)]
    write_stems(bed, tmp_path / "v.wav", Share(size=500), speech, told.append)
    done = [progress.done for progress in told]
    assert done == sorted(done)
    assert (done[-1], told[-1].total) == (4900, 4900)


def test_untouched_channels_of_a_film_stay_bit_for_bit(tmp_path: Path) -> None:
    lines = [Span(RATE, 3 * RATE)]
    sound = wide(6, 4 * RATE, 0.05)
    sound[2] += voice(4 * RATE, RATE, lines)
    rest, vocals, report = split(tmp_path, sound, LiteSeparator(), lines)
    assert_array_equal(np.delete(rest, 2, axis=0), np.delete(sound, 2, axis=0))
    assert report.method == "wiener 1"
    assert report.vocals_rms_dbfs == pytest.approx(10 * np.log10(0.01 / 6), abs=2)
    assert vocals[2].any()


def test_other_programs_read_the_stems(tmp_path: Path) -> None:
    sound = wide(2, 4000, 0.2)
    split(tmp_path, sound, Share(0.5), [Span(1000, 3000)])
    rest, rate = soundfile.read(tmp_path / "bed.wav", dtype="float32")
    vocals, _ = soundfile.read(tmp_path / "voices.wav", dtype="float32")
    assert rate == RATE
    assert_allclose((rest + vocals).T, sound, atol=1e-7)
