"""Waveforms of a film's sounds, in the format of BBC's audiowaveform (``.dat``, version 2, 8 bit).

https://github.com/bbc/audiowaveform/blob/master/doc/DataFormat.md
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.files import whole_file
from dubarr_pipeline.media.audio.reader import Samples
from dubarr_pipeline.review.sounds.waves import FilmSound

Rate = Literal["4", "100"]
"""Pairs of lowest and highest sample in a second: for the whole film, and for some lines."""
_FINE, _COARSER = 100, 25
_RATES: tuple[Rate, ...] = get_args(Rate)
_VERSION, _EIGHT_BITS = 2, 1
_HEADER = struct.Struct("<iIiiIi")


def peaks_file(sound: FilmSound, folder: Path, name: str, rate: Rate) -> Path:
    """Return the file of a sound's peaks; it is made once for each content of the sound.

    Raises:
        ArtifactError, MediaToolError: if the sound cannot be read.
    """
    files = {each: folder / f"{name}-{sound.version}-{each}.dat" for each in _RATES}
    if not files[rate].is_file():
        step = max(1, round(sound.rate / _FINE))
        fine = measure_peaks(sound.blocks(), step)
        for each, pairs, length in (("100", fine, step), ("4", _coarser(fine), step * _COARSER)):
            with whole_file(files[each]) as part:
                part.write_bytes(_document(pairs, sound.rate, length))
        for old in folder.glob(f"{name}-*.dat"):
            if old not in files.values():
                old.unlink(missing_ok=True)
    return files[rate]


def measure_peaks(blocks: Iterator[Samples], step: int) -> NDArray[np.int8]:
    """Return ``(pairs, 2)``: the lowest and the highest of every `step` samples, all channels."""
    found: list[NDArray[np.int8]] = []
    rest: Samples | None = None
    for block in blocks:
        joined = block if rest is None else np.concatenate((rest, block), axis=1)
        whole = joined.shape[1] // step * step
        found.append(_pairs(joined[:, :whole].reshape(len(joined), -1, step)))
        rest = joined[:, whole:]
    if rest is not None and rest.size:
        found.append(_pairs(rest[:, np.newaxis]))
    return np.concatenate(found) if found else np.zeros((0, 2), np.int8)


def _pairs(groups: Samples) -> NDArray[np.int8]:
    """Return the extremes of ``(channels, groups, samples)``."""
    extremes = np.stack((groups.min(axis=(0, 2)), groups.max(axis=(0, 2))), axis=1)
    return np.clip(np.rint(extremes * 128), -128, 127).astype(np.int8)


def _coarser(fine: NDArray[np.int8]) -> NDArray[np.int8]:
    starts = np.arange(0, len(fine), _COARSER)
    if not len(starts):
        return fine
    low, high = np.minimum.reduceat(fine[:, 0], starts), np.maximum.reduceat(fine[:, 1], starts)
    return np.stack((low, high), axis=1)


def _document(pairs: NDArray[np.int8], rate: int, step: int) -> bytes:
    return _HEADER.pack(_VERSION, _EIGHT_BITS, rate, step, len(pairs), 1) + pairs.tobytes()
