"""Options of a mux: new tracks, new subtitles, and their presentation in players."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

DefaultPolicy = Literal["keep", "dub"]
"""``keep``: the original's default flags stay as they are and new tracks are no default. ``dub``:
the first new track is the default, and no other sound is: players take the first that they find."""


@dataclass(frozen=True, slots=True)
class DubTrack:
    """A mixed track that is added to the film.

    Attributes:
        language: BCP-47, e.g. ``pt-BR``.
        title: what players show; without one the language's own name, e.g. ``Español · dub``.
        offset_s: where its first sample lies on the source's playback clock.
        default: make it the default track, whatever the policy says.
    """

    path: Path
    language: str
    title: str | None = None
    offset_s: float | Fraction = 0.0
    default: bool = False


@dataclass(frozen=True, slots=True)
class DubSubtitle:
    """Subtitles of the dubbed text: a SubRip file on the source's playback clock."""

    path: Path
    language: str
    title: str | None = None


@dataclass(frozen=True, slots=True)
class MuxOptions:
    """Options of the finished file.

    Attributes:
        default_policy: which track players choose: ``keep`` leaves that of the source, ``dub``
            prefers the first new one.
        subtitles: add the translated subtitles.
        container: ``mkv`` is the whole film; ``mka`` holds the new tracks alone, to lie next to the
            source.
        original_stream: which source stream carries the original language; without it the first
            default one that is no commentary.
        replace_own: leave out tracks that an earlier run of this program added.
        original_audio: ``keep`` leaves every sound of the source; ``replace`` leaves out the one
            that was dubbed, unless a language failed, and every other track stays.
    """

    default_policy: DefaultPolicy = "keep"
    subtitles: bool = True
    container: Literal["mkv", "mka"] = "mkv"
    original_stream: int | None = None
    replace_own: bool = False
    original_audio: Literal["keep", "replace"] = "keep"

    def __post_init__(self) -> None:
        if self.original_audio == "replace" and self.container != "mkv":
            raise ValueError(
                "original_audio 'replace' needs container 'mkv': other files lie beside a film that"
                " is not touched"
            )
