"""The scene: who says what, when. Every test measures the stages against it."""

from __future__ import annotations

from dataclasses import dataclass

RATE = 48_000
DURATION_S = 33.0
LANGUAGE = "en"
TITLE = "The Light on the Island"


@dataclass(frozen=True, slots=True)
class Actor:
    """One of the voices: its name and the median pitch that it is given."""

    name: str
    pitch_hz: float


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the scene: it starts at `start_s`; how long it takes is the voice's affair."""

    actor: str
    start_s: float
    text: str


ACTORS: tuple[Actor, ...] = (
    Actor("Anna", 205.0),
    Actor("Captain", 88.0),
    Actor("Tom", 300.0),
)

LINES: tuple[Line, ...] = (
    Line("Anna", 1.2, "Good morning, Captain. Is the boat ready?"),
    Line("Captain", 4.2, "Almost. The engine is cold, but the sea is calm."),
    Line("Tom", 8.0, "Can I go with you? I know the island well."),
    Line("Anna", 11.0, "Your mother says that you have to stay here."),
    Line("Tom", 13.8, "She always says that!"),
    Line("Captain", 14.6, "Listen. Do you hear the bell?"),
    Line("Anna", 21.6, "There is a light on the island. They need our help."),
    Line("Captain", 25.2, "Then we leave now. Tom, bring the rope."),
    Line("Tom", 28.2, "Yes, Captain! The rope and the blue lamp."),
)
"""The sixth line begins before the fifth has ended; after it, nobody speaks for over 4 s."""

COMMENTARY = (
    (2.0, "This scene was written to show what a dub has to do."),
    (9.0, "Three people talk, and once two of them talk together."),
    (18.0, "Here nobody speaks. Music and bell must stay as they are."),
)

CHAPTERS: tuple[tuple[float, str], ...] = (
    (0.0, "The harbour"),
    (17.0, "The bell"),
    (21.0, "The light"),
)

BELL_S = (16.2, 17.9, 19.6)
"""When the bell strikes."""


def actor(name: str) -> Actor:
    """Find a voice by its name."""
    return next(a for a in ACTORS if a.name == name)
