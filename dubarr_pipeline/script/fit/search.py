"""Search for the pieces of a file: dynamic programming over cues and offsets.

Every cue in turn either stays at the offset of the one before it, or begins a new piece, which
costs `jump` and is allowed wherever the film time reached so far is not passed backwards. Cues
between two pieces may be left out for nothing. The score of a path is its summed evidence.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.script.fit.evidence import STEP_S, STRIDE, FitEvidence
from dubarr_pipeline.script.fit.options import SearchOptions

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class Run(NamedTuple):
    """Cues `first` to `last`, both included, at one offset in steps."""

    first: int
    last: int
    offset: int

    @property
    def cues(self) -> slice:
        """The cues of the run."""
        return slice(self.first, self.last + 1)


class _Node(NamedTuple):
    """A run that ends with a cue, and the node of the run before it (-1: none)."""

    first: int
    last: int
    column: int
    parent: int


def best_path(
    evidence: FitEvidence, options: SearchOptions, *, own_time: bool
) -> tuple[float, list[Run]]:
    """Return the highest score of a path through all cues, in nats, and its runs in order.

    With `own_time`, pieces at the file's own times are preferred.
    """
    entry = np.full(len(evidence.offsets), options.jump, np.float32)
    if own_time:
        entry[np.abs(evidence.offsets) * STEP_S <= options.own_time_s] -= options.own_time_gain
    score, nodes, at = _walk(evidence, entry, options)
    runs: list[Run] = []
    while at >= 0:
        first, last, column, at = nodes[at]
        runs.append(Run(first, last, (column - evidence.reach) * STRIDE))
    return score, runs[::-1]


class _Frontier:
    """Best score of all paths that end by each stride of film time, and the nodes they end with.

    Both only grow with film time, and are filled just as far as the next cue will read them.
    """

    def __init__(self, strides: int) -> None:
        self.score = np.zeros(strides, np.float32)
        self.node = np.full(strides, -1, np.int32)
        self._filled = 1

    def improve(self, at: Ints, score: Floats, first_node: int, filled: int) -> None:
        """Enter better scores at strides in order, as nodes counted from `first_node`."""
        self.score[at] = score
        self.node[at] = first_node + np.arange(len(at))
        begin = min(int(at[0]) if len(at) else self._filled, self._filled - 1)
        self._filled = end = max(self._filled, filled)
        known, node = self.score[begin:end], self.node[begin:end]
        carried = np.maximum.accumulate(known)
        own = np.where(carried > known, 0, np.arange(len(known)))
        self.node[begin:end] = node[np.maximum.accumulate(own)]
        self.score[begin:end] = carried


def _walk(
    evidence: FitEvidence, entry: Floats, options: SearchOptions
) -> tuple[float, list[_Node], int]:
    """Return the best score, the ends of all paths that ever led, and the best one's index."""
    width = len(entry)
    frontier = _Frontier(int(evidence.ends.max()) // STRIDE + evidence.reach + width)
    overlap = round(options.overlap_s / STEP_S / STRIDE)
    reads = (evidence.starts // STRIDE - evidence.reach + overlap).tolist()
    writes = (-(-evidence.ends // STRIDE) - evidence.reach).tolist()
    nodes: list[_Node] = []
    value = np.full(width, -np.inf, np.float32)
    first, parent = np.zeros(width, np.int32), np.full(width, -1, np.int32)
    row = np.empty(width, np.float32)
    for cue, (read, write) in enumerate(zip(reads, writes, strict=True)):
        entering = frontier.score[read : read + width] - entry
        begins = entering > value
        first[begins] = cue
        parent[begins] = frontier.node[read : read + width][begins]
        np.maximum(value, entering, out=value)
        value += evidence.row(cue, row)
        # Only columns that beat the frontier and every column that ends earlier can lead.
        columns = np.flatnonzero(value > frontier.score[write : write + width])
        leading = value[columns]
        columns = columns[leading >= np.maximum.accumulate(leading)]
        filled = max(write, reads[min(cue + 1, len(reads) - 1)]) + width
        frontier.improve(write + columns, value[columns], len(nodes), filled)
        nodes += [_Node(int(first[c]), cue, int(c), int(parent[c])) for c in columns]
    best = int(np.argmax(frontier.score))
    return float(frontier.score[best]), nodes, int(frontier.node[best])
