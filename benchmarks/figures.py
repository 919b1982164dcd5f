"""What all benchmarks tell: one row a figure, as a table for people or as JSON for machines."""

from __future__ import annotations

import json
import platform
import resource
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, what it must be, and what it is measured against.

    Attributes:
        must, target: bounds where there are any; which side is right says `better`.
        floor: what the figure is compared with.
    """

    name: str
    value: float
    unit: str
    must: float | None = None
    target: float | None = None
    better: Literal["higher", "lower"] = "lower"
    floor: str = ""

    @property
    def bounds(self) -> str:
        """What it must be and should be, in words."""
        sign = "<=" if self.better == "lower" else ">="
        named = (("must", self.must), ("target", self.target))
        return ", ".join(f"{name} {sign} {bound:g}" for name, bound in named if bound is not None)


def peak_mb() -> float:
    """The largest memory of this process or of any tool it ran, in MiB.

    Linux lets a process begin with the `ru_maxrss` of who started it; ``VmHWM`` is its own.
    """
    status = Path("/proc/self/status").read_text().splitlines()
    own = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


def show(rows: Iterable[Row], *, as_json: bool, machine: str = "") -> None:
    """Print every figure as soon as it is there; as JSON all of them at the end.

    Args:
        rows: the figures.
        as_json: one object for machines.
        machine: where it was measured; by default the system's name.
    """
    where = machine or platform.platform()
    if as_json:
        print(json.dumps({"machine": where, "rows": [asdict(row) for row in rows]}))
        return
    print(where)
    for row in rows:
        figure = f"{row.name:62} {row.value:10.3f} {row.unit:8}"
        print(f"{figure} {row.bounds:30} {row.floor}".rstrip(), flush=True)
