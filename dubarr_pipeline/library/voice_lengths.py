"""What earlier films taught about how long the voices speak: shared where the voice is the same.

A stock voice (chosen by its name in a speaker's profile) is the same in every film; a cloned one,
or one found by pitch, is known by its speaker and stays with its film. What a film starts from is
written into its journal when its lines are first made, so a later run of it starts from the same,
whatever other films teach meanwhile.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.timeline.length_model import LengthModel
from dubarr_pipeline.timeline.script import SpeakerProfile
from dubarr_pipeline.workdir import read_json, write_json

_log = logging.getLogger(__name__)

Document = Mapping[str, Any]
"""What `LengthModel.to_document` writes."""


def stock_voices(
    speakers: Iterable[SpeakerProfile], targets: Iterable[str]
) -> tuple[tuple[str, str], ...]:
    """The (language, voice) pairs that were chosen by name, each once, sorted."""
    profiles, languages = list(speakers), list(targets)
    return tuple(
        sorted(
            {
                (language, profile.voices[language])
                for profile in profiles
                for language in languages
                if language in profile.voices
            }
        )
    )


@dataclass(frozen=True, slots=True)
class VoiceShelf:
    """A folder with one file per voice of one synthesizer.

    Attributes:
        folder: ``{work_dir}/.voices``.
        engine: the synthesizer's identity: another model's voice of that name is another voice.
    """

    folder: Path
    engine: str

    def read(self, voices: Iterable[tuple[str, str]]) -> Document | None:
        """What is known of these voices, or None if nothing is."""
        known = [found for pair in voices if (found := self._read(*pair)) is not None]
        return {"schema": 1, "voices": known} if known else None

    def keep(self, learned: Document, voices: Iterable[tuple[str, str]]) -> None:
        """Add what a film has learned of these voices to what is known of them."""
        wanted = set(voices)
        for found in learned.get("voices", ()):
            language, voice = found["language"], found["voice"]
            if (language, voice) in wanted and found["takes"]:
                takes = [*found["takes"], *((self._read(language, voice) or {}).get("takes", ()))]
                model = LengthModel.from_document(
                    {"schema": 1, "voices": [{**found, "takes": takes}]}
                )
                facts = {"engine": self.engine, **model.to_document()["voices"][0]}
                write_json(self._path(language, voice), facts)

    def _read(self, language: str, voice: str) -> dict[str, Any] | None:
        """A voice's takes; a damaged file teaches nothing, and is written anew."""
        path = self._path(language, voice)
        if not path.is_file():
            return None
        try:
            known = read_json(path)
            found = {name: known[name] for name in ("language", "voice", "takes")}
            LengthModel.from_document({"schema": 1, "voices": [found]})
        except (ArtifactError, KeyError, TypeError, ValueError) as error:
            _log.warning("what was learned of voice %r is unreadable: %s", voice, error)
            return None
        return found

    def _path(self, language: str, voice: str) -> Path:
        facts = "\0".join((self.engine, language, voice))
        return self.folder / f"{hashlib.blake2b(facts.encode(), digest_size=12).hexdigest()}.json"
