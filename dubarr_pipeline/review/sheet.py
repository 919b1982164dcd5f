"""A film's own document: its languages, speakers, gate and picture; and the list of films."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace

from dubarr_pipeline.edits.film import output_revision
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.library.videos import load_video, registered
from dubarr_pipeline.review import lines
from dubarr_pipeline.review.answers.film_answers import (
    FilmAnswer,
    FilmList,
    LanguageAnswer,
    LinesAnswer,
    ListedFilm,
    OrphanAnswer,
    SpeakerAnswer,
)
from dubarr_pipeline.review.films import FilmView
from dubarr_pipeline.review.picture import describe_picture
from dubarr_pipeline.review.room import ReviewRoom
from dubarr_pipeline.spans import to_seconds


def list_films(room: ReviewRoom) -> FilmList:
    """Return all films that are served; those whose request is damaged are left out."""
    keys = [room.only] if room.only else list(registered(room.settings.work_dir))
    found: list[ListedFilm] = []
    states = room.backstage.states(keys)
    for key in keys:
        try:
            video = load_video(key, room.settings.work_dir)
        except ArtifactError:
            continue
        held = states.get(key) == "HELD"
        title, state = video.source.stem, states.get(key, "")
        found.append(ListedFilm(key, title, state, video.target_langs, held))
    return FilmList(tuple(found))


def describe_film(room: ReviewRoom, view: FilmView) -> FilmAnswer:
    """Return what is known of a film."""
    audio, source = view.sound and view.sound.audio, view.source_language
    documents = view.documents
    return FilmAnswer(
        key=view.video.key,
        title=view.video.source.stem,
        duration_s=to_seconds(audio.samples, audio.rate) if audio else 0.0,
        source_language=source,
        languages=tuple(_language(view, each) for each in view.languages),
        source_revision=documents[source].revision if source else 0,
        speakers=list_speakers(view),
        gate=replace(room.backstage.gate(view.video.key), result=view.result),
        running=room.is_running(view.video.key),
        picture=describe_picture(view),
        series=room.series(view.video),
    )


def _language(view: FilmView, language: str) -> LanguageAnswer:
    own = view.documents.get(language)
    orphans = tuple(
        OrphanAnswer(each.facts, each.reason, each.anchor and asdict(each.anchor), each.candidate)
        for each in (view.edits.orphans.get(language, ()) if view.edits else ())
    )
    return LanguageAnswer(
        language=language,
        revision=own.revision if own else 0,
        output_revision=output_revision(view.work, language),
        stale=bool(view.unheard(language)),
        counts=lines.tally(lines.rows(view, language), len(orphans)),
        orphans=orphans,
    )


def list_speakers(view: FilmView) -> tuple[SpeakerAnswer, ...]:
    """Return everybody who has a line, or had one, by id; merged ones are one."""
    edits = view.edits
    if edits is None:
        return ()
    spoken = Counter(line.speaker for line in edits.script.lines)
    everybody = sorted({*spoken, *view.speakers} - {*edits.merged})
    found: list[SpeakerAnswer] = []
    for colour, who in enumerate(everybody):
        profile = view.speakers.get(who)
        voices = {language: cast[who].voice for language, cast in view.cast.items() if who in cast}
        chosen = {each: v[who] for each, v in edits.voices.items() if who in v}
        found.append(
            SpeakerAnswer(
                id=who,
                name=edits.names.get(who) or (profile.name if profile else None),
                colour=colour,
                gender=profile.gender if profile else None,
                voices={**voices, **chosen},
                lines=spoken[who],
            )
        )
    return tuple(found)


def list_lines(view: FilmView, language: str, first: int, count: int, wanted: str) -> LinesAnswer:
    """Return `count` lines from the `first` of those that pass a filter, by start."""
    found = [row for row in lines.rows(view, language) if lines.passes(row, wanted)]
    own, source = view.documents.get(language), view.documents.get(view.source_language or "")
    return LinesAnswer(
        total=len(found),
        revision=own.revision if own else 0,
        source_revision=source.revision if source else 0,
        lines=tuple(found[first : first + count]),
    )
