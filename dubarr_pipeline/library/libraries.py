"""Libraries: folders of videos that are watched, and what is wished for each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dubarr_pipeline.engines.registry import PROFILES
from dubarr_pipeline.library.languages import parse_languages


@dataclass(frozen=True, slots=True)
class Library:
    """A folder of videos, and the languages that they are dubbed into.

    Attributes:
        path: the folder; everything below it belongs to the library.
        target_langs: BCP-47 tags of the tracks to make.
        profile: engine profile of its videos; empty: the profile of the settings.
    """

    path: Path
    target_langs: tuple[str, ...]
    profile: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", self.path.expanduser())
        object.__setattr__(self, "target_langs", parse_languages(",".join(self.target_langs)))
        if not self.path.is_absolute():
            raise ValueError(f"path {str(self.path)!r} must be absolute, or begin with ~")
        if self.profile and self.profile not in PROFILES:
            raise ValueError(f"unknown profile {self.profile!r} (choices: {', '.join(PROFILES)})")
