"""Ranges of all numeric settings: by their own name, or by the unit in which a name ends.

Ranges are wide: they keep out what cannot be meant, and what no stage could work with. Conditions
between two settings belong to their dataclass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from typing import Any

Range = tuple[float, float]
NUMBERS = frozenset((int, float, Fraction))

UNITS: Mapping[str, Range] = {
    "_s": (0, 86_400),
    "_ms": (0, 10_000),
    "_minutes": (0, 525_600),
    "_days": (0, 36_500),
    "_db": (0, 120),
    "_dbfs": (-120, 0),
    "_dbtp": (-20, 0),
    "_lufs": (-70, 0),
    "_hz": (10, 20_000),
    "_kb": (1, 100_000),
    "_mb": (0, 100_000_000),
    "_gb": (0, 1_000_000),
    "_kbps": (8, 6_144),
    "_tokens": (1, 10_000_000),
    "_characters": (0, 100_000),
    "_share": (0, 1),
    "_per_s": (0.1, 100),
}
"""Unit -> least and greatest value of a setting whose name ends in it."""

_SHARE, _FACTOR, _COUNT, _COUNT_OR_NONE = (0, 1), (0.01, 100), (1, 1_000), (0, 1_000)
_PRICE = (0, 1_000_000)
NAMED: Mapping[str, Range] = {
    "agreement": _SHARE,
    "alike": _SHARE,
    "alike_between": _SHARE,
    "answers": (1, 20),
    "attempts": (1, 100),
    "batch": _COUNT,
    "batch_lines": _COUNT,
    "beam": (1, 100),
    "beams": (1, 100),
    "centre_caution": _FACTOR,
    "clean_snr_db": (-60, 120),
    "clear_silhouette": (-1, 1),
    "clear_spread": (0, 1_000),
    "clusters.few": _COUNT_OR_NONE,
    "clusters.fewest": _COUNT,
    "clusters.most": _COUNT,
    "concurrency": _COUNT,
    "dead_after": (1, 10_000),
    "dialogue_reach_db": (-120, 0),
    "easy_tempo": _SHARE,
    "fastest": (1, 4),
    "fastest_speech": (1, 4),
    "fewest": _COUNT_OR_NONE,
    "first_pause_minutes": (0.01, 525_600),
    "gentle_fast": (1, 4),
    "gentle_slow": (0.25, 1),
    "highest_compression": (1, 1_000),
    "highest_no_speech": _SHARE,
    "highest_zcr": _SHARE,
    "hopeless": (1, 100),
    "leading_lines": _COUNT_OR_NONE,
    "least_change": _SHARE,
    "least_placed": _SHARE,
    "least_side_db": (-120, 0),
    "least_snr_db": (-60, 120),
    "least_spread": (0, 1_000),
    "least_voiced": _SHARE,
    "llm_concurrency": _COUNT_OR_NONE,
    "longer": (0.25, 4),
    "longest_tokens": (1, 1_000),
    "longest_words": (1, 20),
    "lowest_log_probability": (-100, 0),
    "lowest_zcr": _SHARE,
    "max_takes": (1, 20),
    "memory_share": (0.01, 1),
    "most": _COUNT_OR_NONE,
    "most_heard": (1, 10_000),
    "most_repeats": _COUNT,
    "most_spread_db": (-120, 0),
    "neighbours": (0, 100),
    "original_stream": (0, 9_999),
    "overlap": (0.1, 0.5),
    "overlap_s": (0.1, 43_200),
    "overrule": (0.51, 1),
    "passage_pause_s": (0.01, 86_400),
    "pause_s": (0.01, 86_400),
    "port": (0, 65_535),
    "prices.duration": _PRICE,
    "prices.early": _PRICE,
    "prices.miss": _PRICE,
    "prices.onset_far": _PRICE,
    "prices.onset_near": _PRICE,
    "prices.overrun": _PRICE,
    "prices.tempo_easy": _PRICE,
    "prices.tempo_far": _PRICE,
    "prices.tempo_near": _PRICE,
    "priority": (-100, 100),
    "ready_lines": (1, 1_000_000),
    "release": (0.01, 0.99),
    "retries": (0, 100),
    "same_voice": _SHARE,
    "seed": (0, 2**63 - 1),
    "shorter": (0.25, 4),
    "silhouette_alone": (-1, 1),
    "simpler_gain": (-1, 1),
    "slowest": (0.25, 1),
    "slowest_speech": (0.25, 1),
    "song_no_speech": _SHARE,
    "song_voiced": _SHARE,
    "speakers": _COUNT_OR_NONE,
    "stream": (-1, 9_999),
    "sure": (0.01, 1),
    "sure_word": _SHARE,
    "temperature": (0, 2),
    "threads": (0, 256),
    "threshold": (0.01, 0.99),
    "timeout_s": (0.1, 86_400),
    "tts_concurrency": _COUNT_OR_NONE,
    "unlearned": (1, 100),
    "wiener_caution": _FACTOR,
    "windows": _COUNT,
    "window_s": (0, 86_400),
    "word_error": _SHARE,
    "wordings": (1, 100),
}
"""End of a dotted name -> least and greatest value, where its unit does not tell them."""


def range_of(dotted: str) -> Range | None:
    """Return the range of a numeric setting, by its dotted name; None if none is known."""
    parts = dotted.split(".")
    named = (NAMED.get(".".join(parts[start:])) for start in range(len(parts)))
    units = (UNITS.get(dotted[n:]) for n, letter in enumerate(dotted) if letter == "_")
    return next(filter(None, [*named, *units]), None)


def faults_of(options: Any, where: str) -> Iterator[str]:
    """Yield a sentence on each number of an options dataclass that lies outside its range."""
    for each in fields(options):
        value, dotted = getattr(options, each.name), f"{where}.{each.name}"
        if is_dataclass(value):
            yield from faults_of(value, dotted)
        elif type(value) in NUMBERS:
            low, high = range_of(dotted) or (-1e12, 1e12)
            if not low <= value <= high:
                yield f"setting {dotted}: must be {low:,g} to {high:,g} (got {float(value):,g})"
