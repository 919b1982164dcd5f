"""Inputs of the stage beyond its artifacts: briefs, existing subtitles, and people's edits."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dubarr_pipeline.config import profile_engines
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.edits.document import read_edits_document
from dubarr_pipeline.edits.film import film_edits, with_speaker_facts
from dubarr_pipeline.edits.model import FilmEdits
from dubarr_pipeline.engines.interfaces import (
    ScriptAnalysis,
    ScriptAnalyzer,
    Synthesizer,
    TakeVerifier,
    Translator,
)
from dubarr_pipeline.errors import ArtifactError, NoScript
from dubarr_pipeline.files import read_json, write_json
from dubarr_pipeline.library.source import Source, subtitle_digest
from dubarr_pipeline.media.subtitles.read import check_language, read_cues
from dubarr_pipeline.script.cues.layout import spoken_cues
from dubarr_pipeline.script.cues.matching import match_subtitles
from dubarr_pipeline.script.edits import edited
from dubarr_pipeline.script.fit.fitting import Timeline
from dubarr_pipeline.script.fit.placing import ScriptPlacement, place_translation
from dubarr_pipeline.script.model import Context, LanguageBrief, SpeakerProfile, Transcript
from dubarr_pipeline.segments.cast import Cast, CastFilm, FilmToCast, narrator_profile
from dubarr_pipeline.segments.lengths import VoiceLengthStore, stock_voices
from dubarr_pipeline.segments.series_cast import cast_film, recalled_film
from dubarr_pipeline.segments.tasks import SegmentsRequest
from dubarr_pipeline.workdir.artifacts import read_cues_document, read_sound
from dubarr_pipeline.workdir.corrections import (
    edited_context,
    edited_speakers,
)
from dubarr_pipeline.workdir.layout import WorkDir

_log = logging.getLogger(__name__)

Lines = Mapping[str, Mapping[int, str]]
"""Language -> index of a line -> its wording."""


def briefed_context(
    settings: Settings, work: WorkDir, source: str, targets: Sequence[str]
) -> Context:
    """Return the context with a brief for each target language.

    Writes ``briefs/{lang}.json`` for people to read.

    Raises:
        ServiceError: if the reader's server does not answer.
    """
    context = edited_context(work)
    reader = profile_engines.engine(settings, ScriptAnalyzer, work.logs)
    if not reader.briefs:
        return context
    reading = ScriptAnalysis(context, tuple(edited_speakers(work).values()))
    with reader:
        for target in targets:
            brief = reader.brief(reading, source, target, work.answers(target))
            write_json(work.brief(target), {**asdict(brief), "engine": reader.identity()})
            context = context.with_brief(brief)
    return context


_BRIEF = TypeAdapter(LanguageBrief)


def kept_context(work: WorkDir, targets: Sequence[str]) -> Context:
    """Return the context with the briefs that the last run left; asks nobody.

    Raises:
        ArtifactError: if one is not readable.
    """
    context = edited_context(work)
    for path in (work.brief(target) for target in targets):
        if path.is_file():
            facts = {n: part for n, part in read_json(path).items() if n != "engine"}
            try:
                context = context.with_brief(_BRIEF.validate_python(facts))
            except ValidationError as error:
                raise ArtifactError(f"{path} is damaged ({error}): run segments anew") from error
    return context


@dataclass(frozen=True, slots=True)
class Translations:
    """Wordings from existing subtitles, by language and line, and how each file was placed."""

    lines: Lines
    placements: Mapping[str, ScriptPlacement]


@dataclass(frozen=True, slots=True)
class FilmScript:
    """The script of a film as it is dubbed, and what people want of it.

    Attributes:
        machine: without people's edits, but with the mishearings that a reader has put right.
        script: with both.
        film: the edits.
        revisions: language -> revision of its edits; empty in a film without any.
    """

    machine: Transcript
    script: Transcript
    film: FilmEdits
    revisions: Mapping[str, int]

    @property
    def for_casting(self) -> Transcript:
        """The machine's script, by which voices are dealt, with the lines of people's speakers."""
        known = {segment.speaker for segment in self.machine.segments}
        new = (segment for segment in self.script.segments if segment.speaker not in known)
        return replace(self.machine, segments=(*self.machine.segments, *new))


def film_script(
    work: WorkDir, heard: Transcript, context: Context, targets: Sequence[str]
) -> FilmScript:
    """Return the script with everybody's edits; `context` has those of its reader.

    Raises:
        ArtifactError: if an artifact or a file of edits is not readable.
    """
    documents = [read_edits_document(work, each) for each in (heard.language, *targets)]
    film = film_edits(work, heard, (*targets, heard.language))
    by_hand = {n for n, said in film.lines.get(heard.language, {}).items() if said.text}
    proposed = [edit for edit in context.edits if edit.index not in by_hand]
    is_edited = any(document.facts for document in documents)
    return FilmScript(
        edited(heard, context.edits),
        edited(film.script, proposed),
        film,
        {each.language: each.revision for each in documents} if is_edited else {},
    )


@dataclass(frozen=True, slots=True)
class FilmEngines:
    """Engines of the stage; `listener` verifies takes, if there is one."""

    translator: Translator
    synthesizer: Synthesizer
    listener: TakeVerifier | None = None


def film_request(
    settings: Settings,
    work: WorkDir,
    made: FilmScript,
    engines: FilmEngines,
    known_cast: Cast | None = None,
    **facts: Any,
) -> SegmentsRequest:
    """Return the request for a film, its speakers cast; `facts` are further ones of the request.

    With a `known_cast`, nobody is cast and nothing is written.

    Raises:
        ArtifactError: if an artifact is not readable.
        SettingsError: if a person chose a voice that the engine lacks; it lists the choices.
    """
    options, synthesizer = settings.segments, engines.synthesizer
    targets: tuple[str, ...] = facts["targets"]
    narrator = narrator_profile(options, targets)
    speakers, refused = _speakers(work, made, synthesizer)
    whole = (facts["context"], synthesizer, targets)
    film = FilmToCast(work, made.for_casting, speakers, *whole)
    if narrator:
        one = replace(film, speakers={narrator.speaker: narrator})
        cast = known_cast or one.deal().cast
        dealt = CastFilm(cast, speakers, film.context, film.refs)
    else:
        dealt = recalled_film(film, known_cast) if known_cast else cast_film(film, settings)
    people = (narrator,) if narrator else dealt.speakers.values()
    store = VoiceLengthStore(settings.work_dir / ".voices", synthesizer.identity())
    learned = read_json(work.lengths)["model"] if work.lengths.is_file() else None
    request = SegmentsRequest(
        transcript=made.script,
        speakers=dealt.speakers,
        refs=dealt.refs,
        work=work,
        translator=engines.translator,
        synthesizer=synthesizer,
        listener=engines.listener,
        options=options,
        cast=dealt.cast,
        narrator=narrator,
        lengths=learned or store.read(stock_voices(people, targets, dealt.cast)),
        phonemes=profile_engines.phoneme_counter(),
        **{**facts, "context": dealt.context},
    )
    if not made.revisions:
        return request
    return replace(
        request,
        machine=made.machine,
        edits={target: made.film.lines.get(target, {}) for target in targets},
        renderings=made.film.renderings,
        pronunciations=made.film.pronunciations,
        ids=made.film.ids,
        revisions=made.revisions,
        refused=refused,
    )


def keep_lengths(settings: Settings, request: SegmentsRequest, learned: Mapping[str, Any]) -> None:
    """Keep what a film has taught about its voices, for itself and for other films."""
    write_json(request.work.lengths, {"model": learned})
    narrator = request.narrator
    people = (narrator,) if narrator else request.speakers.values()
    store = VoiceLengthStore(settings.work_dir / ".voices", request.synthesizer.identity())
    store.keep(learned, stock_voices(people, request.targets, request.cast))


def _speakers(
    work: WorkDir, made: FilmScript, synthesizer: Synthesizer
) -> tuple[dict[str, SpeakerProfile], tuple[str, ...]]:
    """Return the profiles of all who speak as people want them, and what of it cannot be had."""
    everyone = {line.speaker: SpeakerProfile(line.speaker) for line in made.script.lines}
    profiles, refused = {**everyone, **edited_speakers(work)}, list[str]()
    voices: dict[str, dict[str, str]] = {}
    for language, chosen in made.film.voices.items():
        dealt = [voice.name for voice in synthesizer.voices(language)] if chosen else []
        known = dealt or list(synthesizer.own_voices)
        wrong = [who for who, name in chosen.items() if known and name not in known]
        refused += [
            f"{who}: there is no voice {chosen[who]!r} in {language}: choose one of "
            + ", ".join(known)
            for who in wrong
        ]
        voices[language] = {who: name for who, name in chosen.items() if who not in wrong}
    return with_speaker_facts(replace(made.film, voices=voices), profiles), tuple(refused)


def existing_translations(
    source: Source, targets: tuple[str, ...], made: FilmScript, work: WorkDir
) -> Translations:
    """Match the subtitles that exist in the target languages to the lines of the script.

    A piece of a file is used only where it agrees with the script, or where there is none with the
    detected speech. Names, sounds, songs, signs and credits in it are not spoken.
    """
    sound, written = read_sound(work.speech), read_cues_document(work.cues)
    script, rate = made.script, made.script.rate
    film = Timeline(sound.speech, script.samples, rate)
    # A script that was refused says nothing about where a translation belongs.
    spoken = () if written.placement.verdict == "refused" else written.cues
    lines: dict[str, Mapping[int, str]] = {}
    placements: dict[str, ScriptPlacement] = {}
    for target, subtitle in source.translations(targets).items():
        if subtitle.is_same(source.script):
            lines[target] = {line.index: line.text for line in script.lines}
            continue
        cues = read_cues(subtitle, source.info, rate, sound.audio.offset_s)
        try:
            check_language(subtitle, cues)
        except NoScript as error:
            _log.warning("%s", error)
            continue
        placed, placements[target] = place_translation(cues, spoken, film)
        said = spoken_cues(placed, sound.speech, rate)
        matched = {**match_subtitles(script.lines, said)}
        if made.machine.segments != script.segments:
            # What was cut or added takes no words from the lines around it.
            spans = {line.index: line.span for line in made.machine.lines}
            kept = {line.index for line in script.lines if spans.get(line.index) == line.span}
            before = match_subtitles(made.machine.lines, said)
            matched = {n: t for n, t in matched.items() if n not in kept}
            matched |= {n: t for n, t in before.items() if n in kept}
        lines[target] = {index: text for index, text in matched.items() if text}
    return Translations(lines, placements)


def existing_digests(source: Source, targets: tuple[str, ...]) -> Mapping[str, str]:
    """Return a digest of each target language's existing subtitles, if there are any."""
    return {t: subtitle_digest(each) for t, each in source.translations(targets).items()}
