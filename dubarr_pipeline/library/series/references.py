"""The best sample of every character, kept with the memory of their series."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from dubarr_pipeline.files import whole_file
from dubarr_pipeline.library.series.corrections import PeoplesWord, owner_of
from dubarr_pipeline.library.series.memory import CastMemory, Reference, SeriesFolder
from dubarr_pipeline.workdir.layout import WorkDir

_DIGITS = 24


def with_references(
    memory: CastMemory,
    folder: SeriesFolder,
    work_dir: Path,
    word: PeoplesWord,
    characters: Iterable[str],
) -> CastMemory:
    """Return the memory with the best samples of some characters, each copied into its folder.

    A sample stays until there is a better one, or its speaker is somebody else's. The caller holds
    the lock.
    """
    found = dict(memory.characters)
    for name in {*characters} & found.keys():
        best = found[name].reference
        if best and not _is_theirs(memory, best, name, word):
            best = None
        for score, key, who in _samples(memory, name, word):
            sample = WorkDir(work_dir / key).ref(who)
            if best and score <= best.score:
                break
            if sample.is_file():
                best = Reference(_kept(sample, folder), key, who, score)
                break
        found[name] = replace(found[name], reference=best)
    return replace(memory, characters=found)


def sweep_references(memory: CastMemory, folder: SeriesFolder) -> None:
    """Remove the samples that nobody is or was spoken with. The caller holds the lock."""
    needed = {each.reference.file for each in memory.characters.values() if each.reference}
    for episode in memory.episodes.values():
        needed |= {seen.spoken_with for seen in episode.speakers.values()}
    for path in folder.references.glob("*.wav"):
        if path.name not in needed:
            path.unlink(missing_ok=True)


def _is_theirs(memory: CastMemory, sample: Reference, name: str, word: PeoplesWord) -> bool:
    episode = memory.episodes.get(sample.episode)
    heard = episode is not None and sample.speaker in episode.speakers
    return heard and owner_of(memory, sample.episode, sample.speaker, word) == name


def _samples(memory: CastMemory, name: str, word: PeoplesWord) -> list[tuple[float, str, str]]:
    """Return score, episode and speaker of a character's samples, the best first."""
    found = [
        (seen.sample_score, key, who)
        for key, episode in memory.episodes.items()
        for who, seen in episode.speakers.items()
        if seen.sample_score is not None and owner_of(memory, key, who, word) == name
    ]
    return sorted(found, key=lambda sample: (-sample[0], *sample[1:]))


def _kept(sample: Path, folder: SeriesFolder) -> str:
    """Copy a sample into the folder, named by its content; return the name."""
    sound = sample.read_bytes()
    name = f"{hashlib.sha256(sound).hexdigest()[:_DIGITS]}.wav"
    if not (folder.references / name).is_file():
        with whole_file(folder.references / name) as temporary:
            temporary.write_bytes(sound)
    return name
