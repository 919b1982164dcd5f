"""Whose video is next: each library in turn, however many videos another one has waiting.

Start-time fair queueing (Goyal, Vin, Cheng 1996) with every video of the same weight: a video's
rank is one more than its library's last one that waits, and never less than the least rank that
waits at all, so that a library that was idle saves up no claim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def ranks(waiting: Mapping[str, Sequence[int]], arriving: Sequence[str]) -> list[int]:
    """Return the rank of every arriving video, in the order in which they arrive; less is sooner.

    Args:
        waiting: library -> the ranks of its videos in the queue.
        arriving: the library of every new video.
    """
    clock = min((rank for each in waiting.values() for rank in each), default=0)
    last = {library: max(each) for library, each in waiting.items() if each}
    found: list[int] = []
    for library in arriving:
        last[library] = max(clock, last.get(library, clock - 1) + 1)
        found.append(last[library])
    return found
