"""Films of any length and density, spoken by eSpeak, with subtitles that name the speakers."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from dubarr_pipeline_tests.fixtures.bench import Film, Said, make_film, sidecar, srt

_WHO = ("The doctor", "My brother", "The old king", "Your daughter", "A soldier", "The teacher")
_DOES = ("opened the window", "found the letter", "lost the key", "sold the horse", "saw the sea")
_WHEN = ("at night", "yesterday", "in the morning", "before the war", "with a friend")
_NAMES = ("ANNA", "BRUNO", "CARLA", "DAVID", "ELENA", "FRANK")
_WORD_S = 0.42
"""Time of a word that a line gets: enough for eSpeak at its usual pace."""


@dataclass(frozen=True, slots=True)
class MadeFilm:
    """Recipe of a film.

    Attributes:
        pause_s: mean silence between lines, which makes it dense or sparse.
        crowd: the minute, counted from 0, in which everybody speaks; elsewhere two do.
    """

    minutes: float
    pause_s: float = 1.2
    crowd: int = 0
    seed: int = 1


def write_film(path: Path, film: MadeFilm) -> Path:
    """Render a film with ``.en.srt`` beside it; return its path."""
    chance, now_s = random.Random(film.seed), 1.0
    spoken: list[Said] = []
    named: list[Said] = []
    while now_s < 60 * film.minutes - 8:
        text = f"{chance.choice(_WHO)} {chance.choice(_DOES)} {chance.choice(_WHEN)}."
        if chance.random() < 0.3:
            text += f" {chance.choice(_WHO)} knows it."
        end_s = now_s + 0.3 + _WORD_S * len(text.split())
        everybody = int(now_s // 60) == film.crowd
        name = chance.choice(_NAMES if everybody else _NAMES[:2])
        spoken.append(Said(now_s, text, end_s))
        named.append(Said(now_s, f"{name}: {text}", end_s))
        now_s = end_s + chance.uniform(0.3, 2 * film.pause_s - 0.3)
    length_s = 60.0 * film.minutes
    sound = ("-c:a", "aac", "-b:a", "128k", "-g", "50")
    whole = Film(tuple(spoken), length_s, subtitles=False, arguments=sound)
    make_film(path, whole)
    sidecar(path, "en").write_text(srt(named), encoding="utf-8")
    return path
