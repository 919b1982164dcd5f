"""Speakers without a script: how many voices there are, and whose each stretch is.

Voices are points in a space in which what one stretch varies by itself, the sounds of its words, is
the same in all directions; in it, the stretches of one person lie together, also where music is
left under them. The division into groups with the clearest silhouette is taken.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.script.speakers.features import VoiceFeatures
from dubarr_pipeline.script.speakers.grouping import (
    ClusterOptions,
    Labels,
    Points,
    centroids,
    distance_matrix,
    silhouette,
)

LOUD_DB = 14.0
"""How far under the loudest tenth of a stretch its frames still count: softer ones hold what
separation leaves of music (four voices under an orchestra at +8 dB: 98 % right, with 30 dB 76)."""
_CLEAR_SILHOUETTE = 0.32
"""Silhouette from which a division is believed; measured: one voice has at most 0.26, in moods and
under music that comes and goes, two and more have 0.32-0.75."""
_FAIR_SILHOUETTE, _CONTRAST = 0.24, 16.0
"""Both together are believed as well: music blurs silhouettes. One voice has contrasts up to 10,
two and more under music 20-160."""
_LEAST_FRAMES = 200
"""Frames of 10 ms that a voice has at least, in two stretches: fewer are an outlier."""
_CROWD = 3
"""Divisions are tried up to so many times the most speakers: some of their groups are outliers."""
_OWN_VARIANCE = 0.1
"""Share of the variances without correlations, so that few stretches make a sound matrix."""


def even_space(voices: Sequence[VoiceFeatures]) -> Points:
    """Place voices, ``(n, 19)``, so that each varies within itself alike in all directions."""
    frames = np.array([voice.frames for voice in voices], np.float64)
    within = np.average([voice.scatter for voice in voices], axis=0, weights=frames)
    own = np.diag(np.diag(within))
    mixed = (1 - _OWN_VARIANCE) * within + _OWN_VARIANCE * own + 1e-6 * np.eye(len(own))
    variances, directions = np.linalg.eigh(mixed)
    means = np.array([voice.mean for voice in voices])
    return (means - np.average(means, axis=0, weights=frames)) @ (directions / np.sqrt(variances))


def clear_groups(points: Points, frames: NDArray[np.int64], options: ClusterOptions) -> Labels:
    """Return the group of every point, ``(n,)`` from 0: one group unless a division is clear.

    Args:
        points: ``(n, dimensions)``, see `even_space`.
        frames: ``(n,)`` frames of 10 ms behind each point.
        options: `most` and `fewest` groups; with two at least, the clearest division is taken.
    """
    count = len(points)
    if count < 3:
        return np.arange(count, dtype=np.int64) if options.fewest > 1 else np.zeros(count, np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(points, "ward")
    distances = distance_matrix(points)
    best, score = np.zeros(count, np.int64), -np.inf
    tried: set[bytes] = set()
    for k in range(2, min(_CROWD * options.most, count - 1) + 1):
        cut = fcluster(tree, k, "maxclust").astype(np.int64) - 1
        labels = _without_outliers(points, cut, frames)
        groups = int(labels.max()) + 1
        if not max(2, options.fewest) <= groups <= options.most or labels.tobytes() in tried:
            continue
        tried.add(labels.tobytes())
        if (clear := silhouette(distances, labels)) > score:
            best, score = labels, clear
    if not tried and options.fewest > 1:
        # So few stretches that all would be outliers.
        return fcluster(tree, options.fewest, "maxclust").astype(np.int64) - 1
    fair = score >= _FAIR_SILHOUETTE and _contrast(points, best, frames) >= _CONTRAST
    believed = score >= _CLEAR_SILHOUETTE or fair or options.fewest > 1
    return best if believed else np.zeros(count, np.int64)


def _contrast(points: Points, labels: Labels, frames: NDArray[np.int64]) -> float:
    """Return the variance between groups over that within them (the F statistic), by frames."""
    weights, groups = frames.astype(np.float64), int(labels.max()) + 1
    centres = centroids(points, labels, weights)
    within = float(weights @ np.square(points - centres[labels]).sum(axis=1))
    middle = np.average(points, axis=0, weights=weights)
    between = float(weights @ np.square(centres[labels] - middle).sum(axis=1))
    return between / max(1, groups - 1) / max(within / max(1, len(points) - groups), 1e-9)


def _without_outliers(points: Points, labels: Labels, frames: NDArray[np.int64]) -> Labels:
    """Give groups that are too small for a voice to the nearest of the others."""
    numbers, renamed = np.unique(labels, return_inverse=True)
    spoken = np.bincount(renamed, weights=frames)
    large = np.flatnonzero((spoken >= _LEAST_FRAMES) & (np.bincount(renamed) > 1))
    if not large.size:
        return np.zeros(len(labels), np.int64)
    if large.size < len(numbers):
        centres = centroids(points, renamed, frames.astype(np.float64))[large]
        rest = ~np.isin(renamed, large)
        from scipy.spatial.distance import cdist

        renamed[rest] = large[np.asarray(cdist(points[rest], centres)).argmin(axis=1)]
    return np.unique(renamed, return_inverse=True)[1].astype(np.int64)
