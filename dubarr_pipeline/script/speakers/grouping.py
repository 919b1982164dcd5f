"""Speakers from groups of like voices and the names in the subtitles."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.script.cues.text import name_key
from dubarr_pipeline.script.cues.vocabulary import CHORUS
from dubarr_pipeline.script.model import ScriptLine, Turn
from dubarr_pipeline.spans import Span, merge

Points = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Options for finding groups.

    Measured on real speech: one reader's lines have spreads of 11-23 and silhouettes up to 0.36,
    two and more speakers 31-58 and 0.23-0.54; meetings on one far microphone lie between.

    Attributes:
        most: groups (speakers) at most.
        fewest: groups at least, if there are that many points.
        clear_silhouette: silhouette (0-1) under which all points are one group.
        clear_spread: spread from which points are believed to be several groups.
        silhouette_alone: silhouette (0-1) that is believed without that spread, with `least_spread`
            and `few` points.
        least_spread: least spread for which `silhouette_alone` counts.
        few: least number of points for which `silhouette_alone` counts: fewer look grouped by
            chance.
        simpler_gain: silhouette (0-1) that each larger number of groups must gain.
    """

    most: int = 40
    fewest: int = 1
    clear_silhouette: float = 0.22
    clear_spread: float = 25.0
    silhouette_alone: float = 0.37
    least_spread: float = 15.0
    few: int = 6
    simpler_gain: float = 0.0


DEFAULT = ClusterOptions()


def cluster(points: Points, options: ClusterOptions = DEFAULT, spread: float = np.inf) -> Labels:
    """Return the group of every point, ``(n,)`` from 0; n squared in memory and time (Ward).

    Args:
        points: ``(n, dimensions)``.
        options: limits of belief.
        spread: how many times further points lie apart than their own uncertainty explains, as the
            F statistic of an analysis of variance; infinite where the points are certain.
    """
    count = len(points)
    if count <= max(1, options.fewest):
        return np.arange(count, dtype=np.int64)
    # Not at the top: only processes that cluster need it.
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(points, "ward")
    most = min(options.most, count - 1)
    distances = distance_matrix(points)
    best: Labels | None = None
    score = -np.inf
    for k in range(max(2, options.fewest), most + 1):
        cut = fcluster(tree, k, "maxclust").astype(np.int64) - 1
        cut_score = silhouette(distances, cut)
        if cut_score > score + options.simpler_gain:
            best, score = cut, cut_score
    # A grouping is believed if it says more than chance would.
    clear = score >= options.silhouette_alone and spread >= options.least_spread
    believed = score >= options.clear_silhouette and (
        spread >= options.clear_spread or (count >= options.few and clear)
    )
    if best is None or (options.fewest < 2 and not believed):
        return np.zeros(count, np.int64)
    return best


def distance_matrix(points: Points) -> NDArray[np.float32]:
    """Return Euclidean distances ``(n, n)`` in float32: 100 MB for 5,000 points."""
    # In place and in float32: the matrix is the largest thing in memory.
    compact = points.astype(np.float32)
    squares = np.einsum("ij,ij->i", compact, compact)
    distances = compact @ compact.T
    distances *= -2
    distances += squares[:, None]
    distances += squares[None, :]
    np.maximum(distances, 0, out=distances)
    np.sqrt(distances, out=distances)
    np.fill_diagonal(distances, 0)
    return distances


def silhouette(distances: NDArray[np.float32], labels: Labels) -> float:
    """Return the mean silhouette: own group against the next nearest, -1 to 1 (Rousseeuw 1987).

    A point alone in its group counts 0.
    """
    groups = int(labels.max()) + 1 if len(labels) else 0
    if groups < 2:
        return 0.0
    member = np.zeros((len(labels), groups), np.float32)
    member[np.arange(len(labels)), labels] = 1
    sizes = member.sum(axis=0)
    sums = distances @ member
    own = sums[np.arange(len(labels)), labels]
    own_size = sizes[labels]
    inner = own / np.maximum(own_size - 1, 1)
    means = sums / np.maximum(sizes, 1)
    means[np.arange(len(labels)), labels] = np.inf
    outer = means[:, sizes > 0].min(axis=1)
    score = np.where(own_size > 1, (outer - inner) / np.maximum(np.maximum(outer, inner), 1e-9), 0)
    return float(score.mean())


def centroids(points: Points, labels: Labels, weights: NDArray[np.float64] | None = None) -> Points:
    """Return each group's weighted mean, ``(groups, dimensions)``; no group may be empty."""
    groups = int(labels.max()) + 1
    weighted = np.ones(len(labels)) if weights is None else weights
    member = np.zeros((groups, len(labels)))
    member[labels, np.arange(len(labels))] = weighted
    return (member @ points) / member.sum(axis=1, keepdims=True)


_SHORT_SHARE = 0.6
"""Pieces with less than this share of the median's frames join groups but do not form them."""
_SHORT_FRAMES = 80
_MOST_FORMING = 4000
"""Pieces that form groups at most, spread over the film: memory and time grow with their square. No
film has as many lines; 200 MB."""
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

    pieces: tuple[ScriptLine, ...]
    points: Points
    frames: NDArray[np.int64]
    pitch_octaves: NDArray[np.float64]
    spread: float = np.inf
    apart: tuple[tuple[int, int], ...] = ()


def speaker_name(piece: ScriptLine) -> str | None:
    """Return the key of the one person whom the subtitle names, or None (also for choruses)."""
    key = name_key(piece.name) if piece.name else None
    return None if key in CHORUS else key


Division = Callable[[NDArray[np.bool_], ClusterOptions], Labels]
"""Divides the pieces of a mask into groups, within the options' limits of their number."""


def group_pieces(
    voiced: VoicedPieces, options: ClusterOptions, division: Division | None = None
) -> tuple[Labels, NDArray[np.float64]]:
    """Decide which pieces one person speaks: each one's group number, and its confidence, 0 to 1.

    Pieces of one name are one person and never two; unnamed pieces join the name whose voice is
    theirs, or form speakers of their own. Two voices in one cue's dialogue are two people.

    Args:
        voiced: pieces and their voices.
        options: for finding groups.
        division: finds the groups of long pieces; None: `cluster`.
    """
    names = [speaker_name(piece) for piece in voiced.pieces]
    # Two at least if pieces are known to be two people's, or a few lines are in two registers.
    known = np.sort(voiced.pitch_octaves[~np.isnan(voiced.pitch_octaves)])
    few = 1 < len(known) < options.few
    registers = few and float(np.diff(known).max()) > _TWO_VOICES_OCTAVES
    speakers = 2 if voiced.apart or registers else 1
    fewest = max(options.fewest, len({n for n in names if n}), speakers)
    limited = replace(options, most=max(options.most, fewest), fewest=fewest)
    frames = voiced.frames
    # Where every piece has a name, nothing need be heard.
    labels = np.zeros(len(frames), np.int64)
    groups = _with_names(voiced, labels if all(names) else _heard(voiced, limited, division), names)
    groups = _parted(voiced, groups, names)
    # 1 for a name; else from 0.5 (between two speakers) to 1 (much nearer to this one).
    sure = np.array([name is not None for name in names])
    if groups.max(initial=0) < 1:
        return groups, np.where(sure, 1.0, 0.9)
    centres = centroids(voiced.points, groups, frames.astype(np.float64))
    distances, rows = _distances(voiced.points, centres), np.arange(len(groups))
    own = distances[rows, groups].copy()
    distances[rows, groups] = np.inf
    margin = (distances.min(axis=1) - own) / np.maximum(distances.min(axis=1) + own, 1e-9)
    return groups, np.where(sure, 1.0, np.clip(0.6 + margin, 0.3, 0.99))


def _heard(voiced: VoicedPieces, options: ClusterOptions, division: Division | None) -> Labels:
    """Return the group of every piece by its voice alone."""
    frames = voiced.frames
    # Short pieces have uncertain features: they join groups, but do not form them.
    limit = min(_SHORT_FRAMES, float(np.median(frames)) * _SHORT_SHARE)
    long = frames >= limit
    if long.sum() < max(2, options.fewest):
        long = np.ones(len(frames), bool)
    if (count := int(long.sum())) > _MOST_FORMING:
        chosen = np.flatnonzero(long)[np.arange(_MOST_FORMING) * count // _MOST_FORMING]
        long = np.isin(np.arange(len(frames)), chosen)
    labels = np.zeros(len(frames), np.int64)
    if division is None:
        labels[long] = cluster(voiced.points[long], options, voiced.spread)
    else:
        labels[long] = division(long, options)
    _, labels[long] = np.unique(labels[long], return_inverse=True)
    centres = centroids(voiced.points[long], labels[long], frames[long].astype(np.float64))
    labels[~long] = _distances(voiced.points[~long], centres).argmin(axis=1)
    return labels


def pairs_apart(
    pieces: Sequence[ScriptLine], least_overlap_samples: int
) -> tuple[tuple[int, int], ...]:
    """Find which pieces cannot be one person's: the two sides of a dialogue, and who talk at once.

    `pieces` are in order of their starts; under `least_overlap_samples` a subtitle lingers.
    """
    pairs: list[tuple[int, int]] = []
    for later, piece in enumerate(pieces):
        for earlier in range(later - 1, max(-1, later - 1 - _NEIGHBOURS), -1):
            before = pieces[earlier]
            answered = before.cue == piece.cue and later - earlier == 1 and piece.new_speaker
            if answered or before.span.overlap(piece.span) >= least_overlap_samples:
                pairs.append((earlier, later))
    return tuple(pairs)


def _distances(points: Points, centres: Points) -> NDArray[np.float64]:
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(points, centres), np.float64)


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
        # A piece that the subtitles name is never moved.
        movable = [i for i in (later, earlier) if names[i] is None]
        if parted[earlier] != parted[later] or not movable:
            continue
        distances = _distances(voiced.points[movable], centres)
        distances -= distances[:, [parted[later]]]
        distances[:, parted[later]] = np.inf
        which, other = np.unravel_index(int(distances.argmin()), distances.shape)
        parted[movable[int(which)]] = other
    return np.unique(parted, return_inverse=True)[1].astype(np.int64)


_CLEAR_SHARE = 0.6
"""Of a voice's named time, what one name must have before it is believed to be its name."""


def names_of(turns: Sequence[Turn], pieces: Sequence[ScriptLine]) -> dict[str, str]:
    """Return speaker -> name as it is written, where the subtitles name a voice clearly.

    A name belongs to one voice, and a voice has one name: the greatest overlap decides.
    """
    named: dict[str, list[Span]] = {}
    written: dict[str, str] = {}
    for piece in pieces:
        key = speaker_name(piece)
        if key and piece.name:
            named.setdefault(key, []).append(piece.span)
            written.setdefault(key, piece.name)
    own: dict[str, list[Span]] = {}
    for turn in turns:
        own.setdefault(turn.speaker, []).append(turn.span)
    votes = _common_time(own, named)
    whole: Counter[str] = Counter()
    for (speaker, _), common in votes.items():
        whole[speaker] += common
    pairs: dict[str, str] = {}
    taken: set[str] = set()
    for (speaker, key), common in votes.most_common():
        believed = common >= max(1, _CLEAR_SHARE * whole[speaker])
        if believed and speaker not in pairs and key not in taken:
            pairs[speaker] = key
            taken.add(key)
    return {speaker: written[key] for speaker, key in pairs.items()}


def _common_time(
    own: Mapping[str, Sequence[Span]], named: Mapping[str, Sequence[Span]]
) -> Counter[tuple[str, str]]:
    """Return how many samples each speaker and each name share, in one pass over the film."""
    turns = sorted((span.start, span.end, who) for who in own for span in merge(own[who]))
    lines = sorted((span.start, span.end, key) for key in named for span in merge(named[key]))
    votes: Counter[tuple[str, str]] = Counter()
    begun, read = list[tuple[int, int, str]](), 0
    for start, end, key in lines:
        while read < len(turns) and turns[read][0] < end:
            begun.append(turns[read])
            read += 1
        begun = [turn for turn in begun if turn[1] > start]
        for first, last, who in begun:
            if (common := min(end, last) - max(start, first)) > 0:
                votes[who, key] += common
    return votes
