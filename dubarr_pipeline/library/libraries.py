"""Libraries: folders of videos that are watched, and what is wished for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

from dubarr_pipeline.engines.registry import PROFILES
from dubarr_pipeline.library.languages import parse_languages
from dubarr_pipeline.library.publishing import PublishOptions
from dubarr_pipeline.library.quiet_hours import parse_hours
from dubarr_pipeline.library.rules import Rules

MOST_PRIORITY = 100


@dataclass(frozen=True, slots=True)
class LanguageProfile:
    """Target languages under a name of their own, for several libraries.

    Attributes:
        target_langs: BCP-47 tags of the tracks to make.
        overrides: settings for these videos alone, by dotted name: ``"mix.preset" = "duck"``.
    """

    target_langs: tuple[str, ...]
    overrides: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        object.__setattr__(self, "target_langs", parse_languages(",".join(self.target_langs)))


@dataclass(frozen=True, slots=True)
class Library:
    """A folder of videos, and the languages that they are dubbed into.

    Attributes:
        path: the folder; everything below it belongs to the library.
        target_langs: BCP-47 tags of the tracks to make.
        profile: engine profile of its videos; empty: the profile of the settings.
        languages: in place of target_langs, the name of a ``[language_profiles.NAME]``.
        overrides: settings for these videos alone, by dotted name: ``"mix.preset" = "duck"``.
        priority: -100 to 100; of the videos that wait, those of the higher one go first. Libraries
            of the same priority take turns.
        quiet_hours: stretches of the day (local time) in which no video is started, e.g.
            ``["18:00-23:30"]``; what runs goes on.
        path_mappings: how other programs' paths read here, ``"/tv" = "/mnt/media/tv"``; the longest
            that fits counts.
        outside_links: follow symbolic links that lead out of the library.
        rules: which of its videos are dubbed.
        publish: where the finished films go.
    """

    path: Path
    target_langs: tuple[str, ...] = ()
    profile: str = ""
    languages: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict[str, Any])
    priority: int = 0
    quiet_hours: tuple[str, ...] = ()
    path_mappings: Mapping[str, Path] = field(default_factory=dict[str, Path])
    outside_links: bool = False
    rules: Rules = field(default_factory=Rules)
    publish: PublishOptions = field(default_factory=PublishOptions)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", self.path.expanduser())
        if not self.path.is_absolute() or "\0" in str(self.path):
            raise ValueError(f"path {str(self.path)!r} must be absolute, or begin with ~")
        self._check_languages()
        if self.profile and self.profile not in PROFILES:
            raise ValueError(f"unknown profile {self.profile!r} (choices: {', '.join(PROFILES)})")
        if not -MOST_PRIORITY <= self.priority <= MOST_PRIORITY:
            raise ValueError(f"priority must be within -{MOST_PRIORITY} and {MOST_PRIORITY}")
        for text in self.quiet_hours:
            parse_hours(text)
        if self.publish.mode == "sidecar":
            object.__setattr__(self, "overrides", {**self.overrides, "mux.container": "mka"})
        for theirs, ours in self.path_mappings.items():
            if not (_pure(theirs).is_absolute() and ours.is_absolute()):
                raise ValueError(f"path_mappings: {theirs!r} = {str(ours)!r} must both be absolute")

    def _check_languages(self) -> None:
        if self.languages and self.target_langs:
            raise ValueError("give target_langs, or the name of a language profile, not both")
        if not self.languages:
            object.__setattr__(self, "target_langs", parse_languages(",".join(self.target_langs)))

    def mapped(self, theirs: str) -> Path:
        """Return where a path that another program names lies here."""
        path = _pure(theirs)
        fitting = [
            (len(prefix.parts), each)
            for each in self.path_mappings
            if type(prefix := _pure(each)) is type(path) and path.is_relative_to(prefix)
        ]
        if not fitting:
            return Path(theirs)
        _, prefix = max(fitting)
        return self.path_mappings[prefix].joinpath(*path.relative_to(_pure(prefix)).parts)

    def with_languages(self, profile: LanguageProfile) -> Library:
        """This library with what a language profile asks; its own overrides go before."""
        overrides = {**profile.overrides, **self.overrides}
        return replace(self, languages="", target_langs=profile.target_langs, overrides=overrides)

    def holds(self, path: Path) -> bool:
        """Whether a path lies within the library, with all links and ``..`` resolved."""
        try:
            return path.resolve().is_relative_to(self.path.resolve())
        except (OSError, RuntimeError, ValueError):
            return False


def _pure(path: str) -> PurePath:
    r"""A path as the program that names it means it: ``D:\\TV`` is one of Windows."""
    windows = PureWindowsPath(path)
    return windows if windows.drive else PurePosixPath(path)
