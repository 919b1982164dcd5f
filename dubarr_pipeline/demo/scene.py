"""The scene of ``scene.toml``. Every test measures the stages against it."""

from dataclasses import dataclass

from dubarr_pipeline.text.tables import read_table

RATE = 48_000
_SCENE = read_table("dubarr_pipeline.demo", "scene")
TITLE: str = _SCENE["title"]
DURATION_S: float = _SCENE["duration_s"]
BELL_S: list[float] = _SCENE["bell_s"]
PITCH_HZ: dict[str, float] = _SCENE["pitch_hz"]
COMMENTARY: list[tuple[float, str]] = _SCENE["commentary"]
CHAPTERS: list[tuple[float, str]] = _SCENE["chapters"]


@dataclass(frozen=True, slots=True)
class SceneLine:
    """A line of the scene."""

    actor: str
    start_s: float
    text: str


LINES = tuple(SceneLine(**line) for line in _SCENE["lines"])
