"""The cost of an engine's work, for the report."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Cost of an engine's work so far: tokens written, and seconds spent on them."""

    tokens: int = 0
    busy_s: float = 0.0
