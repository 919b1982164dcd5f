"""A changed line mixes only the blocks that it touches; all else stays, byte for byte."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dubarr_pipeline.media.audio.wav import write_wave
from dubarr_pipeline.media.mix import remix as remixing
from dubarr_pipeline.media.mix.check import prove_track
from dubarr_pipeline.media.mix.mix import ProvenTrack, mix_and_prove
from dubarr_pipeline.media.mix.options import MixOptions, PlacedTake
from dubarr_pipeline.media.mix.remix import IN_PARTS, remix
from dubarr_pipeline.media.mix.splice import FRAME
from dubarr_pipeline.media.mix.state import KeptMix, keep_mix, read_mix
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.stem_films import Film, Line, buzz, decoded, make_film

RATE = 48000
SECONDS = 34
STARTS = (1, 6, 11, 16, 21, 26, 31)


def span(start_s: float, end_s: float) -> Span:
    return Span(round(start_s * RATE), round(end_s * RATE))


class Track:
    """A finished track with its film and its state."""

    def __init__(self, film: Film, folder: Path, options: MixOptions) -> None:
        self.film, self.folder, self.options = film, folder, options
        self.path = folder / f"track.{options.codec}"
        self.state = folder / "state.npz"
        self.takes = list(film.takes)
        self.sounds = [f"{number:032x}" for number in range(len(film.takes))]

    def make(self) -> ProvenTrack:
        return self.keep(mix_and_prove(self.film.sources, self.takes, self.path, self.options))

    def keep(self, made: ProvenTrack) -> ProvenTrack:
        keep_mix(self.state, KeptMix(made, tuple(self.takes), tuple(self.sounds), "", ""))
        return made

    def known(self) -> KeptMix:
        kept = read_mix(self.state, self.film.sources, self.options)
        assert kept is not None
        return kept

    def change(self, number: int, take: PlacedTake, sound: str) -> ProvenTrack | None:
        self.takes[number], self.sounds[number] = take, sound
        made = remix(self.film.sources, self.takes, self.sounds, self.path, self.known())
        return self.keep(made) if made else None


@pytest.fixture(scope="module", params=["ac3", "eac3"])
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Track:
    folder = tmp_path_factory.mktemp(request.param)
    lines = [Line(span(start, start + 2), level=0.15) for start in STARTS]
    track = Track(make_film(folder, lines, SECONDS), folder, MixOptions(codec=request.param))
    track.make()
    return track


@pytest.fixture
def track(finished: Track, tmp_path: Path) -> Track:
    mine = Track(finished.film, tmp_path, finished.options)
    shutil.copy(finished.path, mine.path)
    shutil.copy(finished.state, mine.state)
    return mine


def other_take(track: Track, number: int) -> PlacedTake:
    path = track.folder / "other.wav"
    write_wave(path, buzz(round(1.6 * 24000), 24000, 210, 0.3), 24000)
    return replace(track.takes[number], path=path)


def test_one_line_changes_its_blocks_and_undo_gives_the_same_bytes(track: Track) -> None:
    first, before = track.path.read_bytes(), track.known()
    kept = track.takes[3]
    made = track.change(3, other_take(track, 3), "f" * 32)
    assert made is not None
    now = track.path.read_bytes()
    size = len(first) // -(-SECONDS * RATE // FRAME)
    same = [first[at : at + size] == now[at : at + size] for at in range(0, len(first), size)]
    # The line lies in two blocks of 4.8 s; a frame before them overlaps.
    frames = [number for number, stays in enumerate(same) if not stays]
    assert frames
    assert min(frames) * FRAME >= 3 * 230400 - FRAME
    assert max(frames) * FRAME < 4 * 230400
    whole = track.folder / f"whole.{track.options.codec}"
    exact = replace(track.options, pcm=track.folder / "exact.wav")
    anew = mix_and_prove(track.film.sources, track.takes, whole, exact)
    mixed = decoded(track.folder / "exact.wav", 2).astype(np.float64)
    # As near to the mix as a whole new track: the rest is the codec's own noise.
    noise = [
        np.mean((decoded(path, 2)[:, : mixed.shape[1]] - mixed) ** 2)
        for path in (track.path, whole)
    ]
    assert noise[0] < 1.1 * noise[1]
    figures = made.mixed.report
    assert abs(figures.miss_lu) < 0.2
    assert figures.lines[3].dub_lufs == pytest.approx(anew.mixed.report.lines[3].dub_lufs, abs=0.3)
    # The proof of the parts is that of the whole file.
    proof, whole_proof = (
        made.proof,
        prove_track(track.path, track.film.sources, track.takes, figures, track.options),
    )
    assert proof.loudness_lufs == pytest.approx(whole_proof.loudness_lufs, abs=0.03)
    assert proof.line_gains_db == pytest.approx(whole_proof.line_gains_db, abs=0.05)
    assert proof.bed_null_db == pytest.approx(whole_proof.bed_null_db, abs=0.1)
    assert proof.bed_gain_db == pytest.approx(whole_proof.bed_gain_db, abs=0.01)
    assert proof.offset_ms == pytest.approx(whole_proof.offset_ms, abs=0.01)
    assert proof.original_left_db == pytest.approx(whole_proof.original_left_db, abs=0.5)
    assert (proof.muted_s, proof.doubled_s) == (whole_proof.muted_s, whole_proof.doubled_s)
    assert proof.line_gains_db[0] == before.made.proof.line_gains_db[0]
    assert IN_PARTS in figures.notes
    track.change(3, kept, f"{3:032x}")
    assert track.path.read_bytes() == first


def test_a_line_that_is_not_dubbed_any_more_gives_the_original_back(track: Track) -> None:
    line = track.takes.pop(2)
    track.sounds.pop(2)
    film = track.film.keeping(line.window)
    made = remix(film.sources, track.takes, track.sounds, track.path, track.known())
    assert made is not None
    assert not made.proof.muted_s
    assert len(made.mixed.report.lines) == len(track.takes)
    heard = decoded(track.path, 2)[:, line.window.start : line.window.end]
    original = film.original[:, line.window.start : line.window.end]
    assert np.mean((heard - original) ** 2) < 0.05 * np.mean(original**2)


def test_a_persons_gain_is_heard(track: Track) -> None:
    before = track.known().made.mixed.report.lines[1]
    made = track.change(1, replace(track.takes[1], gain_db=-1.0), f"{1:032x}")
    assert made is not None
    assert made.mixed.report.lines[1].gain_db == pytest.approx(before.gain_db - 1.0)
    assert abs(made.proof.line_gains_db[1]) < 0.5


def test_the_whole_is_mixed_where_parts_would_not_do(
    track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = track.path.read_bytes()
    monkeypatch.setattr(remixing, "_is_level", lambda *_: False)
    assert track.change(3, other_take(track, 3), "f" * 32) is None
    assert track.path.read_bytes() == first
    monkeypatch.undo()
    monkeypatch.setattr(remixing, "_MOST_SHARE", 0.01)
    assert track.change(3, other_take(track, 3), "e" * 32) is None
    assert track.path.read_bytes() == first


def test_a_damaged_state_is_none(track: Track) -> None:
    data = track.state.read_bytes()
    for broken in (b"", data[: len(data) // 2], b"PK" + bytes(100)):
        track.state.write_bytes(broken)
        assert read_mix(track.state, track.film.sources, track.options) is None
