"""From groups of like voices and the names in the subtitles to speakers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.timeline.clustering import ClusterOptions, Labels, Points, centroids, cluster
from dubarr_pipeline.timeline.cue_layout import ScriptPiece
from dubarr_pipeline.timeline.cue_text import name_key
from dubarr_pipeline.timeline.cue_words import CHORUS

_SHORT_SHARE = 0.6
"""Pieces with less than this share of the median's frames join groups but do not form them."""
_SHORT_FRAMES = 80
_NEIGHBOURS = 8
"""Lines before a line that may still be spoken when it begins."""
_TWO_VOICES_OCTAVES = 0.6
"""No one speaks a few lines with a hole of seven semitones in the middle of their register."""


@dataclass(frozen=True, slots=True)
class VoicedPieces:
    """Pieces of script whose voice could be heard.

    Attributes:
        pieces: in order of their starts.
        points, frames: one row each; see `VoiceSpace`.
        pitch_octaves: ``(n,)`` log2 of F0 in Hz, NaN where unknown.
        spread: how much further the voices lie apart than chance explains; see `cluster`.
        apart: pairs of indexes that cannot be one person; see `pairs_apart`.
    """

    pieces: tuple[ScriptPiece, ...]
    points: Points
    frames: NDArray[np.int64]
    pitch_octaves: NDArray[np.float64]
    spread: float = np.inf
    apart: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who speaks each piece: a group number, and how sure that is, 0 to 1."""

    groups: Labels
    confidence: NDArray[np.float64]


def speaker_name(piece: ScriptPiece) -> str | None:
    """The key of the one person whom the subtitle names, or None (also for choruses)."""
    key = name_key(piece.name) if piece.name else None
    return None if key in CHORUS else key


def group_pieces(voiced: VoicedPieces, options: ClusterOptions) -> Assignment:
    """Decide which pieces one person speaks.

    Pieces of one name are one person and never two; unnamed pieces join the name whose voice is
    theirs, or form speakers of their own. Two voices in one cue's dialogue are two people.
    """
    names = [speaker_name(piece) for piece in voiced.pieces]
    fewest = max(options.fewest, len({n for n in names if n}), _least_speakers(voiced, options.few))
    limited = replace(options, most=max(options.most, fewest), fewest=fewest)
    groups = _with_names(voiced, _cluster_long(voiced, limited), names)
    groups = _parted(voiced, groups, names)
    return Assignment(groups, _confidence(voiced, groups, names))


def pairs_apart(
    pieces: Sequence[ScriptPiece], least_overlap_samples: int
) -> tuple[tuple[int, int], ...]:
    """Find which pieces cannot be one person's: the two sides of a dialogue, and who talk at once.

    Args:
        pieces: in order of their starts.
        least_overlap_samples: from here two lines are spoken at once; less is a subtitle that
            lingers.
    """
    pairs: list[tuple[int, int]] = []
    for later, piece in enumerate(pieces):
        for earlier in range(later - 1, max(-1, later - 1 - _NEIGHBOURS), -1):
            before = pieces[earlier]
            answered = before.cue == piece.cue and later - earlier == 1 and piece.new_speaker
            if answered or before.span.overlap(piece.span) >= least_overlap_samples:
                pairs.append((earlier, later))
    return tuple(pairs)


def _least_speakers(voiced: VoicedPieces, few: int) -> int:
    """Two where pieces are known to be two people's, or a few lines lie in two registers."""
    if voiced.apart:
        return 2
    known = np.sort(voiced.pitch_octaves[~np.isnan(voiced.pitch_octaves)])
    registers = 1 < len(known) < few and float(np.diff(known).max()) > _TWO_VOICES_OCTAVES
    return 2 if registers else 1


def _cluster_long(voiced: VoicedPieces, options: ClusterOptions) -> Labels:
    """Form groups from the long pieces, then give the short ones to the nearest."""
    frames = voiced.frames
    limit = min(_SHORT_FRAMES, float(np.median(frames)) * _SHORT_SHARE)
    long = frames >= limit
    if long.sum() < max(2, options.fewest):
        long = np.ones(len(frames), bool)
    labels = np.zeros(len(frames), np.int64)
    labels[long] = cluster(voiced.points[long], options, voiced.spread)
    _, labels[long] = np.unique(labels[long], return_inverse=True)
    centres = centroids(voiced.points[long], labels[long], frames[long].astype(np.float64))
    labels[~long] = _distances(voiced.points[~long], centres).argmin(axis=1)
    return labels


def _distances(points: Points, centres: Points) -> NDArray[np.float64]:
    return np.sqrt(np.square(points[:, None, :] - centres[None, :, :]).sum(axis=2))


def _with_names(voiced: VoicedPieces, labels: Labels, names: Sequence[str | None]) -> Labels:
    """Give every name one group; unnamed pieces go to the nearest name in their group."""
    known = sorted({name for name in names if name})
    if not known:
        return labels
    of_name = {name: i for i, name in enumerate(known)}
    named = np.array([of_name[name] if name else -1 for name in names], np.int64)
    mask = named >= 0
    centres = centroids(voiced.points[mask], named[mask], voiced.frames[mask].astype(np.float64))
    groups = named.copy()
    for label in np.unique(labels):
        members = labels == label
        candidates = np.unique(named[members & mask])
        rest = np.flatnonzero(members & ~mask)
        if not rest.size:
            continue
        if candidates.size:
            nearest = _distances(voiced.points[rest], centres[candidates]).argmin(axis=1)
            groups[rest] = candidates[nearest]
        else:
            groups[rest] = len(known) + label
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def _parted(voiced: VoicedPieces, groups: Labels, names: Sequence[str | None]) -> Labels:
    """Give pairs that cannot be one person different speakers."""
    if groups.max(initial=0) < 1:
        return groups
    parted = groups.copy()
    centres = centroids(voiced.points, groups, voiced.frames.astype(np.float64))
    for earlier, later in voiced.apart:
        movable = [i for i in (later, earlier) if names[i] is None]
        if parted[earlier] != parted[later] or not movable:
            continue
        distances = _distances(voiced.points[movable], centres)
        distances -= distances[:, [parted[later]]]
        distances[:, parted[later]] = np.inf
        which, other = np.unravel_index(int(distances.argmin()), distances.shape)
        parted[movable[int(which)]] = other
    return np.unique(parted, return_inverse=True)[1].astype(np.int64)


def _confidence(
    voiced: VoicedPieces, groups: Labels, names: Sequence[str | None]
) -> NDArray[np.float64]:
    """1 for a name; else from 0.5 (between two speakers) to 1 (much nearer to this one)."""
    sure = np.array([name is not None for name in names])
    if groups.max(initial=0) < 1:
        return np.where(sure, 1.0, 0.9)
    centres = centroids(voiced.points, groups, voiced.frames.astype(np.float64))
    distances = _distances(voiced.points, centres)
    rows = np.arange(len(groups))
    own = distances[rows, groups].copy()
    distances[rows, groups] = np.inf
    margin = (distances.min(axis=1) - own) / np.maximum(distances.min(axis=1) + own, 1e-9)
    return np.where(sure, 1.0, np.clip(0.6 + margin, 0.3, 0.99))
