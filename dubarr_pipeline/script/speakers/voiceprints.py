"""Voiceprints (speaker embeddings) of stretches of speech, grouped by whose they are."""

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.script.speakers.grouping import (
    ClusterOptions,
    Labels,
    Points,
    centroids,
)

SAME_VOICE = 0.74
"""Mean likeness from which two groups are one voice: within one 0.8-1.1, between two 0.4-0.7."""
_UNCERTAIN_S = 0.6
"""Seconds of speech of which the voiceprint is half the voice's and half the words'."""
_LEAST_S, _SHORTEST_S = 2.0, 0.3
"""A group with less speech than the first is an outlier and joins the nearest."""


def likeness(prints: Points, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how alike voiceprints are, ``(n, n)``: about 1 for one voice, however short.

    The cosine of two short stretches' prints is low though the voice is the same, because each
    holds its own words as well; it is raised by what their length explains.

    Args:
        prints: ``(n, dimensions)``, each of length 1.
        seconds: ``(n,)`` of speech behind each.
    """
    gain = np.sqrt(1 + _UNCERTAIN_S / np.maximum(seconds, _SHORTEST_S))
    alike = (prints @ prints.T) * gain[:, None] * gain
    np.fill_diagonal(alike, 1.0)
    return alike


def group_prints(prints: Points, seconds: NDArray[np.float64], options: ClusterOptions) -> Labels:
    """Return the group of every voiceprint, ``(n,)`` from 0; arguments as of `likeness`.

    Groups are joined, the most alike first (average linkage), until they are two voices.
    """
    count = len(prints)
    if count < 2:
        return np.zeros(count, np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage

    furthest = 2.0
    apart = np.clip(furthest - likeness(prints, seconds), 0.0, None)
    tree = linkage(apart[np.triu_indices(count, 1)], "average")
    labels = fcluster(tree, furthest - SAME_VOICE, "distance")
    number = int(np.clip(labels.max(), min(options.fewest, count), options.most))
    if number != labels.max():
        labels = fcluster(tree, number, "maxclust")
    return _without_outliers(prints, labels.astype(np.int64) - 1, seconds, options.fewest)


def _without_outliers(
    prints: Points, labels: Labels, seconds: NDArray[np.float64], fewest: int
) -> Labels:
    spoken = np.bincount(labels, weights=seconds)
    large = np.flatnonzero(spoken >= _LEAST_S)
    if not max(1, fewest) <= large.size < len(spoken):
        return labels
    centres = centroids(prints, labels, seconds)[large]
    centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-9)
    rest = ~np.isin(labels, large)
    joined = labels.copy()
    joined[rest] = large[(prints[rest] @ centres.T).argmax(axis=1)]
    return np.unique(joined, return_inverse=True)[1].astype(np.int64)
