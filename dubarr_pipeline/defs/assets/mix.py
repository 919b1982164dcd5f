"""Stage 7: the mix of speech and accompaniment, one track per language."""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from dubarr_pipeline.defs.assets import checks
from dubarr_pipeline.defs.runtime.stage_run import Outcome, StageContext, as_document
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import read_json, write_json
from dubarr_pipeline.media.audio.loudness import Loudness
from dubarr_pipeline.media.mix.mix import mix_and_prove
from dubarr_pipeline.media.mix.options import MixSources, PlacedTake
from dubarr_pipeline.media.mix.plan import undubbed_speech
from dubarr_pipeline.progress import Progress
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
    for number, language in enumerate(targets):
        lines, path = made.languages[language], work.track(language, options.codec)
        wanted = _track_fingerprints(context, lines)
        tracks[language] = kept = earlier.get(language, {})
        if kept.get("fingerprint") not in wanted or not checkpoints.is_whole(path, kept["file"]):
            sources = _sources(context, sound, lines)
            placed = [(line, line.path) for line in lines if line.placed]
            if lost := [f"line {x.index} ({x.language})" for x, at in placed if not at]:
                raise ArtifactError(f"{lost[0]} is placed but has no sound")
            takes = [PlacedTake(x.start, at, x.speaker, x.source) for x, at in placed if at]
            report, proof = mix_and_prove(
                sources,
                takes,
                path,
                options,
                lambda done, of, at=number: context.on_progress(
                    Progress(at + done / max(of, 1e-9), len(targets), targets[at])
                ),
            )
            tracks[language] = {
                "fingerprint": wanted[0],
                "file": asdict(identify(path)),
                "report": as_document(report),
                "proof": as_document(proof),
            }
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


def _track_fingerprints(context: StageContext, lines: tuple[LineResult, ...]) -> tuple[str, ...]:
    """Return the track's fingerprint, then the one that an older version gave it, if any."""
    placed = [
        [line.index, line.outcome, line.start, identify(line.path).digest if line.path else None]
        for line in lines
    ]
    stems = context.inputs["vocals"].record.production
    facts = {"stems": stems, "options": context.settings.mix, "lines": placed}
    fingerprint = checkpoints.fingerprint("track", context.stage.version, facts)
    old = legacy_keys.track_fingerprint(context.stage.version, facts)
    return (fingerprint, old) if old else (fingerprint,)


def _sources(
    context: StageContext, sound: SourceSound, lines: tuple[LineResult, ...]
) -> MixSources:
    """Return the stems; where no line has a dub, the original voice is audible."""
    audio = sound.audio
    takes = [Span(line.start, line.start + line.length) for line in lines if line.placed]
    dub = [*takes, *(line.source for line in lines if line.placed)]
    undubbed = undubbed_speech(sound.separated, dub, audio.rate)
    peak = audio.true_peak_dbtp if math.isfinite(audio.true_peak_dbtp) else -120.0
    return MixSources(
        context.work.accompaniment,
        context.work.vocals,
        sound.separated,
        tuple(merge([*undubbed, *(line.source for line in lines if not line.placed)])),
        Loudness(audio.loudness_lufs, peak, audio.lra_lu),
        sound.speech,
    )
