"""How many groups points form: agglomerative clustering, the number by silhouette."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """How groups are found.

    Measured on real speech: one reader's lines have spreads of 11-23 and silhouettes up to 0.36,
    two and more speakers 31-58 and 0.23-0.54; meetings on one far microphone lie between.

    Attributes:
        most: groups at most.
        fewest: groups at least, where that many points are there.
        clear_silhouette: under this, all points are one group.
        clear_spread: from this spread (see `cluster`) points are believed to be several groups.
        silhouette_alone, least_spread: or from this silhouette, where the spread is at least so
            much and there are at least `few` points: so few look grouped by chance.
        few: see above.
        simpler_gain: what each larger number of groups must gain in silhouette.
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
        options: when groups are believed.
        spread: how many times further points lie apart than their own uncertainty explains, as the
            F statistic of an analysis of variance; infinite where the points are certain.
    """
    count = len(points)
    if count <= max(1, options.fewest):
        return np.arange(count, dtype=np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(points, "ward")
    most = min(options.most, count - 1)
    cuts = [
        fcluster(tree, k, "maxclust").astype(np.int64) - 1
        for k in range(max(2, options.fewest), most + 1)
    ]
    best, score = _best_cut(points, cuts, options)
    if best is None or (options.fewest < 2 and not _believed(score, spread, count, options)):
        return np.zeros(count, np.int64)
    return best


def _believed(score: float, spread: float, count: int, options: ClusterOptions) -> bool:
    """Whether a grouping says more than chance would."""
    if score < options.clear_silhouette:
        return False
    clear = score >= options.silhouette_alone and spread >= options.least_spread
    return spread >= options.clear_spread or (count >= options.few and clear)


def _best_cut(
    points: Points, cuts: list[Labels], options: ClusterOptions
) -> tuple[Labels | None, float]:
    distances = distance_matrix(points)
    best: Labels | None = None
    best_score = -np.inf
    for cut in cuts:
        score = silhouette(distances, cut)
        if score > best_score + options.simpler_gain:
            best, best_score = cut, score
    return best, float(best_score)


def distance_matrix(points: Points) -> NDArray[np.float32]:
    """Euclidean distances ``(n, n)`` in float32: 100 MB for 5,000 points."""
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
    """How much nearer points lie to their own group than to the next, -1 to 1 (Rousseeuw 1987).

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
    """Weighted mean of each group, ``(groups, dimensions)``; every group must have a point."""
    groups = int(labels.max()) + 1
    weighted = np.ones(len(labels)) if weights is None else weights
    member = np.zeros((groups, len(labels)))
    member[labels, np.arange(len(labels))] = weighted
    return (member @ points) / member.sum(axis=1, keepdims=True)
