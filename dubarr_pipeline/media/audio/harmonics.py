"""Sound of many harmonics at the price of two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def sum_harmonics(phase: NDArray[np.float64], weights: Sequence[float]) -> NDArray[np.float64]:
    """Return the sum of ``weights[k - 1] * sin(k * phase)``, of the shape of `phase` (radians).

    By Clenshaw's recurrence (C. W. Clenshaw, "A note on the summation of Chebyshev series", 1955),
    which needs the sine and the cosine of the phase alone: a sine costs as much as twenty products.
    """
    twice_cosine = 2 * np.cos(phase)
    now, before = np.zeros_like(twice_cosine), np.zeros_like(twice_cosine)
    product = np.empty_like(twice_cosine)
    for weight in reversed(weights):
        np.multiply(twice_cosine, now, out=product)
        np.subtract(product, before, out=before)
        before += weight
        now, before = before, now
    return now * np.sin(phase)
