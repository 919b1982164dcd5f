"""The scene: who says what, when. Every test measures the stages against it."""

from dataclasses import dataclass

RATE = 48_000
DURATION_S = 33.0
TITLE = "The Light on the Island"


@dataclass(frozen=True, slots=True)
class Actor:
    """One of the voices: its name and the median pitch that it is given."""

    name: str
    pitch_hz: float


@dataclass(frozen=True, slots=True)
class SceneLine:
    """A line of the scene: it starts at `start_s`; how long it takes is the voice's affair."""

    actor: str
    start_s: float
    text: str


ACTORS: tuple[Actor, ...] = (Actor("Anna", 205.0), Actor("Martin", 88.0), Actor("Tom", 300.0))

LINES: tuple[SceneLine, ...] = (
    SceneLine("Anna", 1.2, "Good morning, Martin. We need a boat."),
    SceneLine("Martin", 4.2, "Good morning, Anna. The sea is calm, and I have a boat."),
    SceneLine("Tom", 8.4, "I want to see the island with you."),
    SceneLine("Anna", 11.2, "No, Tom. The island is dangerous at night."),
    SceneLine("Tom", 14.0, "But she always says no!"),
    SceneLine("Martin", 14.9, "Silence! I hear a bell."),
    SceneLine("Anna", 21.6, "There is a light on the island. Somebody needs help."),
    SceneLine("Martin", 25.2, "I have a rope and a blue lamp."),
    SceneLine("Tom", 28.2, "Thank you, Martin! Now we can help."),
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
"""Times at which the bell strikes."""


def actor(name: str) -> Actor:
    """Find a voice by its name."""
    return next(a for a in ACTORS if a.name == name)
