"""The cast of a film: the stock voice of every speaker, by language; and ``cast.json``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dubarr_pipeline.config.options import SegmentsOptions
from dubarr_pipeline.engines.interfaces import Synthesizer
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import read_json, write_json
from dubarr_pipeline.script.model import Context, Segment, SpeakerProfile, StockVoice, Transcript
from dubarr_pipeline.script.speakers.casting import NARRATOR, CastVoice, cast_speakers
from dubarr_pipeline.workdir.artifacts import read_diarization
from dubarr_pipeline.workdir.layout import WorkDir

_log = logging.getLogger(__name__)

Cast = Mapping[str, Mapping[str, CastVoice]]
"""Language -> speaker -> their voice; languages in which the engine has no stock voices lack."""
Deal = Callable[
    [Sequence[SpeakerProfile], Sequence[StockVoice], Sequence[Segment], str, Mapping[str, str]],
    dict[str, CastVoice],
]
"""Deals the voices of a language, as `cast_speakers` does."""

_CAST = TypeAdapter(dict[str, dict[str, CastVoice]])


def narrator_profile(options: SegmentsOptions, targets: Sequence[str]) -> SpeakerProfile | None:
    """Return the profile of the one who reads all lines; None where each character is cast."""
    if options.casting == "characters":
        return None
    chosen = dict.fromkeys(targets, options.narrator) if options.narrator else {}
    return SpeakerProfile(NARRATOR, gender="male", age_group="adult", voices=chosen)


def recast_film(
    work: WorkDir,
    script: Transcript,
    speakers: Mapping[str, SpeakerProfile],
    synthesizer: Synthesizer,
    targets: Sequence[str],
    deal: Deal = cast_speakers,
) -> Cast:
    """Cast all who have a line, in every target language, and write ``cast.json``.

    A narrator is the only speaker. Who was cast by an earlier run keeps their voice; where the same
    synthesizer lists no voices now, as a server may that is about to go, all keep them.

    Raises:
        SettingsError: if a person chose a voice that the engine lacks; it lists the choices.
    """
    talking = {line.speaker for line in script.lines}
    whole = talking if NARRATOR not in speakers else {NARRATOR}
    profiles = [speakers.get(who) or SpeakerProfile(who) for who in sorted(whole)]
    cast: dict[str, Mapping[str, CastVoice]] = {}
    earlier, identity = read_cast(work), synthesizer.identity()
    is_same = bool(earlier) and read_json(work.cast).get("synthesizer") == identity
    for language in targets:
        before = {who: each.voice for who, each in earlier.get(language, {}).items()}
        voices = synthesizer.voices(language)
        if not voices and is_same and language in earlier:
            _log.warning("%s lists no voices: the cast in %s stays", synthesizer.name, language)
            cast[language] = earlier[language]
        if found := deal(profiles, voices, script.lines, language, before):
            cast[language] = found
            shared = len(found) - len({each.voice for each in found.values()})
            _log.info(
                "cast in %s: %d voices for %d speakers, %d shared, %d chosen by a person",
                *(language, len(found) - shared, len(found), shared),
                sum(each.by == "person" for each in found.values()),
            )
    if cast:
        # Languages that are not asked for now keep their cast.
        whole = {**earlier, **cast}
        languages = {
            language: {who: _plain(each) for who, each in whole[language].items()}
            for language in sorted(whole)
        }
        write_json(work.cast, {"synthesizer": identity, "languages": languages})
    return cast


@dataclass(frozen=True, slots=True)
class FilmToCast:
    """A film whose speakers are known and have no voices yet.

    Attributes:
        script: by which voices are dealt.
        speakers: their profiles, with a person's corrections.
        context: with a brief for each target language.
    """

    work: WorkDir
    script: Transcript
    speakers: Mapping[str, SpeakerProfile]
    context: Context
    synthesizer: Synthesizer
    targets: tuple[str, ...]

    @property
    def refs(self) -> dict[str, Path]:
        """Speaker -> their sample, of those who have one."""
        speakers = read_diarization(self.work.diarization).speakers
        return {who: path for who in speakers if (path := self.work.ref(who)).is_file()}

    def deal(self, cast: Deal = cast_speakers) -> CastFilm:
        """Deal the voices of the film by itself, or as `cast` deals them."""
        found = recast_film(
            self.work, self.script, self.speakers, self.synthesizer, self.targets, cast
        )
        return CastFilm(found, self.speakers, self.context, self.refs)


@dataclass(frozen=True, slots=True)
class CastFilm:
    """A film whose speakers have voices; all with what its series knows.

    Attributes:
        refs: speaker -> the sample that a cloning engine follows.
    """

    cast: Cast
    speakers: Mapping[str, SpeakerProfile]
    context: Context
    refs: Mapping[str, Path]


def read_cast(work: WorkDir) -> Cast:
    """Return the cast of the last run; empty where there is none, or it is not readable."""
    if not work.cast.is_file():
        return {}
    try:
        return _CAST.validate_python(
            {
                language: {who: {"speaker": who, **each} for who, each in voices.items()}
                for language, voices in read_json(work.cast)["languages"].items()
            }
        )
    except (ArtifactError, AttributeError, KeyError, TypeError, ValidationError) as error:
        _log.warning("%s is not readable, all speakers are cast anew: %s", work.cast, error)
        return {}


def _plain(each: CastVoice) -> dict[str, Any]:
    facts = asdict(each)
    del facts["speaker"]
    return {**facts, "warnings": list(each.warnings)}
