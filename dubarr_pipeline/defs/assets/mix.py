"""Stage 7: the mix of speech and accompaniment, one track per language."""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from dubarr_pipeline.defs.assets import checks
from dubarr_pipeline.defs.runtime.stage_run import Outcome, StageContext, as_document
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import read_json, write_json
from dubarr_pipeline.media.audio.loudness import Loudness
from dubarr_pipeline.media.mix.mix import mix_and_prove
from dubarr_pipeline.media.mix.options import MixSources, PlacedTake
from dubarr_pipeline.media.mix.plan import undubbed_speech
from dubarr_pipeline.media.mix.remix import remix
from dubarr_pipeline.media.mix.state import KeptMix, keep_mix, read_mix
from dubarr_pipeline.progress import OnSeconds, Progress
from dubarr_pipeline.segments.results import LineResult, read_segments
from dubarr_pipeline.spans import Span, merge
from dubarr_pipeline.workdir import checkpoints, legacy_keys
from dubarr_pipeline.workdir.artifacts import SourceSound, read_sound
from dubarr_pipeline.workdir.identity import identify


def facts(context: StageContext) -> Mapping[str, Any]:
    """Return the facts on which the result depends, beside its inputs."""
    return {"targets": context.video.target_langs, "options": context.settings.mix}


def make(context: StageContext) -> Outcome:
    """Mix each language: `final_{lang}.ac3`, at the source's loudness, the bed untouched."""
    work, targets = context.work, context.video.target_langs
    sound, made, options = read_sound(work.speech), read_segments(work), context.settings.mix
    if missing := [language for language in targets if language not in made.languages]:
        raise ArtifactError(
            f"{work.segments_report} has no lines in {', '.join(missing)}: "
            "materialize segments first, or the whole video"
        )
    failed = made.failed_languages(context.settings.segments.least_placed)
    for language in failed:
        work.track(language, options.codec).unlink(missing_ok=True)
    targets = tuple(language for language in targets if language not in failed)
    # The tracks of unchanged lines are kept.
    earlier: dict[str, Any] = {}
    with suppress(ArtifactError):
        earlier = {} if context.force else read_json(work.mix_report)["tracks"]
    tracks: dict[str, Any] = {}
    # What is measured of the original is measured once for all languages.
    original = _original(context, sound)
    for number, language in enumerate(targets):

        def on_seconds(done: float, of: float, at: int = number) -> None:
            progress = Progress(at + done / max(of, 1e-9), len(targets), targets[at])
            context.on_progress(progress)

        spoken = language, made.languages[language]
        sources = replace(original, kept=_kept(sound, spoken[1]))
        tracks[language] = _track(context, sources, spoken, earlier.get(language, {}), on_seconds)
    write_json(work.mix_report, {"tracks": tracks})
    files = [work.track(language, options.codec) for language in targets]
    loudness = {f"loudness_lufs_{lang}": t["report"]["loudness_lufs"] for lang, t in tracks.items()}
    return Outcome(
        files=[*files, work.mix_report],
        metadata={
            "languages": ",".join(targets),
            "source_lufs": sound.audio.loudness_lufs,
            **loudness,
            **checks.heard_figures(tracks),
            "tracks": checks.track_table(tracks),
        },
    )


def _track(
    context: StageContext,
    sources: MixSources,
    spoken: tuple[str, tuple[LineResult, ...]],
    earlier: Mapping[str, Any],
    on_seconds: OnSeconds,
) -> Mapping[str, Any]:
    """Return the track of a language: as it was, changed in parts, or mixed as a whole."""
    (language, lines), work, options = spoken, context.work, context.settings.mix
    path, state = work.track(language, options.codec), work.mix_state(language)
    digests = {line.index: identify(line.path).digest for line in lines if line.path}
    wanted = _track_fingerprints(context, lines, digests)
    stands = bool(earlier) and checkpoints.is_whole(path, earlier["file"])
    if stands and earlier.get("fingerprint") in wanted:
        return earlier
    placed = [line for line in lines if line.placed]
    if lost := [f"line {x.index} ({x.language})" for x in placed if not x.path]:
        raise ArtifactError(f"{lost[0]} is placed but has no sound")
    takes = [PlacedTake(x.start, x.path, x.speaker, x.source, x.gain_db) for x in placed if x.path]
    sounds = [digests[line.index] for line in placed]
    made_of = checkpoints.fingerprint("mix", context.stage.version, _stems(context))
    known = read_mix(state, sources, options) if stands else None
    proven = None
    if known and known.belongs_to(earlier["file"]["digest"], made_of):
        proven = remix(sources, takes, sounds, path, known)
    proven = proven or mix_and_prove(sources, takes, path, options, on_seconds)
    file = identify(path)
    keep_mix(state, KeptMix(proven, tuple(takes), tuple(sounds), file.digest, made_of))
    return {
        "fingerprint": wanted[0],
        "file": asdict(file),
        "report": as_document(proven.mixed.report),
        "proof": as_document(proven.proof),
    }


def _stems(context: StageContext) -> dict[str, Any]:
    stems = context.inputs["vocals"].record.production
    return {"stems": stems, "options": context.settings.mix}


def _track_fingerprints(
    context: StageContext, lines: tuple[LineResult, ...], digests: Mapping[int, str]
) -> tuple[str, ...]:
    """Return the track's fingerprint, then the one that an older version gave it, if any."""
    placed: list[list[Any]] = [
        [line.index, line.outcome, line.start, digests.get(line.index)]
        + ([line.gain_db] if line.gain_db else [])
        for line in lines
    ]
    facts = {**_stems(context), "lines": placed}
    fingerprint = checkpoints.fingerprint("track", context.stage.version, facts)
    old = legacy_keys.track_fingerprint(context.stage.version, facts)
    return (fingerprint, old) if old else (fingerprint,)


def _original(context: StageContext, sound: SourceSound) -> MixSources:
    """Return the stems, without any original voice that stays."""
    audio = sound.audio
    peak = audio.true_peak_dbtp if math.isfinite(audio.true_peak_dbtp) else -120.0
    return MixSources(
        context.work.accompaniment,
        context.work.vocals,
        sound.separated,
        (),
        Loudness(audio.loudness_lufs, peak, audio.lra_lu),
        sound.speech,
    )


def _kept(sound: SourceSound, lines: tuple[LineResult, ...]) -> tuple[Span, ...]:
    """Return where no line has a dub: there, the original voice is audible."""
    takes = [Span(line.start, line.start + line.length) for line in lines if line.placed]
    dub = [*takes, *(line.source for line in lines if line.placed)]
    undubbed = undubbed_speech(sound.separated, dub, sound.audio.rate)
    return tuple(merge([*undubbed, *(line.source for line in lines if not line.placed)]))
