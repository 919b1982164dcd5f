"""The edits of a film, put into its script."""

import hashlib
from collections.abc import Mapping, Sequence

from dubarr_pipeline.edits.document import read_edits_document
from dubarr_pipeline.edits.history import in_effect
from dubarr_pipeline.edits.model import FilmEdits, LineEdits
from dubarr_pipeline.files import read_json, write_json
from dubarr_pipeline.script.model import Transcript
from dubarr_pipeline.workdir.layout import WorkDir


def film_edits(work: WorkDir, transcript: Transcript, targets: Sequence[str]) -> FilmEdits:
    """Return what people want of a film: its script as they have it, and their edits of lines.

    Raises:
        ArtifactError: if a file of edits is not readable.
    """
    ids: dict[int, str] = {}
    for segment in transcript.segments:
        words = f"{segment.span.start}|{segment.speaker}|{segment.text}"
        ids[segment.index] = "L" + hashlib.blake2b(words.encode(), digest_size=5).hexdigest()
    index_of = {token: index for index, token in ids.items()}
    lines: dict[str, dict[int, LineEdits]] = {}
    for language in targets:
        wanted: dict[int, dict[str, object]] = {}
        for (target, name, field), fact in in_effect(
            read_edits_document(work, language).facts
        ).items():
            if target == "line" and name in index_of and field in LineEdits.__slots__:
                wanted.setdefault(index_of[name], {})[field] = fact.value
        lines[language] = {index: LineEdits(**said) for index, said in wanted.items()}  # type: ignore[arg-type]
    return FilmEdits(transcript, ids, lines)


def write_output_revisions(work: WorkDir, revisions: Mapping[str, int]) -> None:
    """Note the revision of each language (the source among them) that a finished run has used."""
    write_json(work.checkpoints / "edits.json", {"revisions": dict(revisions)})


def output_revision(work: WorkDir, language: str) -> int:
    """Return the revision of a language's edits that its finished track has; 0: none."""
    path = work.checkpoints / "edits.json"
    return int(read_json(path)["revisions"].get(language, 0)) if path.is_file() else 0


def stale(work: WorkDir, language: str) -> bool:
    """Return whether there are edits that the finished track of a language does not have."""
    return read_edits_document(work, language).revision > output_revision(work, language)
