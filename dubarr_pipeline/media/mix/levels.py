"""Levels of the original lines and of their dubs: whispers stay whispers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import soundfile

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.media.audio.channels import loudness_weights
from dubarr_pipeline.media.audio.k_weighting import Powers, frame_powers
from dubarr_pipeline.media.audio.loudness import SILENCE_LUFS, gate, gated, integrated
from dubarr_pipeline.media.audio.reader import Samples
from dubarr_pipeline.media.audio.resample import resampled_length
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.media.mix.options import LevelOptions, OriginalLevels, PlacedTake
from dubarr_pipeline.spans import Span

_LOWEST_GAIN_DB = -40.0
_BISECTIONS = 24
_UNHEARD_LU = 20.0


@dataclass(frozen=True, slots=True)
class LineLevel:
    """Measurements of one line: the original, and the take as it was made.

    Attributes:
        original_lufs, dub_lufs: gated loudness.
        shares: ``(channels,)``: the part of the original's power in each channel, sum 1 (or all 0).
        original_power: sum of the original's K-weighted powers over tenths of a second.
        dub_powers: the take's, one for each tenth of a second.
        samples: the take's length at the film's rate.
    """

    original_lufs: float
    dub_lufs: float
    shares: Powers
    original_power: float
    dub_powers: Powers
    samples: int


def measure_lines(
    takes: Sequence[PlacedTake], vocals: WaveFile, known: OriginalLevels
) -> list[LineLevel]:
    """Measure every take, and the original voice in its window. Raises as `read_take`."""
    return [_measure(take, vocals, known) for take in takes]


def _measure(take: PlacedTake, vocals: WaveFile, known: OriginalLevels) -> LineLevel:
    if take.window not in known.lines:
        known.lines[take.window] = _voice(vocals, take.window)
    original_lufs, shares, original_power = known.lines[take.window]
    sound, rate = read_take(take)
    dub = frame_powers(sound[None], rate)[0]
    return LineLevel(
        original_lufs=original_lufs,
        dub_lufs=gated(dub),
        shares=shares,
        original_power=original_power,
        dub_powers=dub,
        samples=resampled_length(sound.size, rate, vocals.rate),
    )


def _voice(vocals: WaveFile, window: Span) -> tuple[float, Powers, float]:
    voice = vocals.read(window.start, window.end)
    weights = loudness_weights(vocals.channels, vocals.layout)
    original = weights[:, None] * frame_powers(voice, vocals.rate)
    summed = original.sum(axis=0)
    spoken = original[:, gate(summed)].sum(axis=1)
    shares = spoken / spoken.sum() if spoken.sum() > 0 else spoken
    return gated(summed), shares, float(summed.sum())


def read_take(take: PlacedTake) -> tuple[Samples, int]:
    """Return a take's samples, ``(samples,)`` float32, and its rate.

    Raises:
        ArtifactError: if the file is missing, damaged or not mono.
    """
    try:
        sound, rate = soundfile.read(take.path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise ArtifactError(
            f"take {take.path} cannot be read ({error}): delete it, and `segments` makes it anew"
        ) from error
    if sound.shape[1] != 1:
        raise ArtifactError(f"take {take.path} has {sound.shape[1]} channels: a take is mono")
    return np.ascontiguousarray(sound[:, 0], np.float32), int(rate)


def line_gains(lines: Sequence[LineLevel], options: LevelOptions) -> list[float]:
    """Return the gain in dB that brings each take to the loudness of the line it replaces.

    At most `quieter_db` under and `louder_db` over the film's dialogue; a line without an original
    voice is brought to the film's level.
    """
    film_lufs = dialogue_level(lines, options)
    return [_gain(line, film_lufs, options) for line in lines]


def dialogue_level(lines: Iterable[LineLevel], options: LevelOptions) -> float:
    """Return the loudness at which the film's people usually speak: the median of its lines.

    Lines 20 LU and more under their mean are left out as not understood. The median, because a mean
    of energies is the level of the shouts: ordinary lines would count as whispers.
    """
    levels = np.array([line.original_lufs for line in lines if _heard(line)])
    if not levels.size:
        return options.fallback_lufs
    mean_lufs = 10 * np.log10(np.mean(10 ** (levels / 10)))
    return float(np.median(levels[levels > mean_lufs - _UNHEARD_LU]))


def _heard(line: LineLevel) -> bool:
    return line.original_lufs > SILENCE_LUFS


def _gain(line: LineLevel, film_lufs: float, options: LevelOptions) -> float:
    if line.dub_lufs <= SILENCE_LUFS:
        return 0.0
    wanted = line.original_lufs if _heard(line) else film_lufs
    bounded = min(max(wanted, film_lufs - options.quieter_db), film_lufs + options.louder_db)
    return float(np.clip(bounded - line.dub_lufs, _LOWEST_GAIN_DB, options.boost_db))


def trim_towards(
    programme: Powers, dub: Powers, target_lufs: float, bounds_db: tuple[float, float]
) -> tuple[float, float]:
    """Return the dB by which the dub must move, within bounds, and the LUFS of all of it then.

    `programme` and `dub` are the powers of every tenth of a second of the mix, and of the dub
    alone. Bed and dub are unrelated sounds: their powers add.
    """
    share = np.zeros(programme.size)
    size = min(dub.size, programme.size)
    share[:size] = np.minimum(dub[:size], programme[:size])

    def level(dub_db: float) -> float:
        return integrated(programme + (10 ** (dub_db / 10) - 1) * share)

    low, high = bounds_db
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if level(middle) < target_lufs else (low, middle)
    return (low + high) / 2, level((low + high) / 2)
