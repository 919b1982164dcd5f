"""Reserves of the C library: memory that was freed, and that it keeps for the next request."""

from __future__ import annotations

import ctypes
from typing import Any

_M_ARENA_MAX = -8
"""Of ``malloc.h``."""


def share_reserve() -> None:
    """Have all threads share one reserve (glibc), before any of them is started.

    Each would have one of its own, of which the end is never given back by ``malloc_trim``: 12 MB
    more or less after `vocals` by chance, and 20 MB at its peak.
    """
    _call("mallopt", _M_ARENA_MAX, 1)


def give_back_reserve() -> None:
    """Give the whole pages of what was freed back to the system (glibc)."""
    _call("malloc_trim", 0)


def _call(name: str, *numbers: int) -> None:
    # Other C libraries have neither function.
    function: Any = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function(*numbers)
