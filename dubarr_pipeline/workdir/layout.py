"""Layout of a video's work folder, and the lock on it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from dubarr_pipeline.errors import VideoBusy
from dubarr_pipeline.files import TEMPORARY, named_disk_errors


class _Named:
    """Path of a name that is fixed in every work folder."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, work: WorkDir, _: type[WorkDir]) -> Path:
        return work.root / self._name


@dataclass(frozen=True, slots=True)
class WorkDir:
    """The folder of one video, with the fixed names of its artifacts."""

    root: Path

    video = _Named("video.json")
    probed = _Named(".ffprobe.json")
    """Streams of the film as ffprobe told them, for plans of many films."""
    vocals = _Named("vocals.wav")
    accompaniment = _Named("accompaniment.wav")
    speech = _Named("speech.json")
    """Spans of detected speech, and the measures of the source's sound."""
    diarization = _Named("diarization.json")
    cues = _Named("cues.json")
    """Subtitles that the script was taken from, on the clock of the sound."""
    transcription = _Named("transcription.json")
    context = _Named("context.json")
    speakers = _Named("speakers.json")
    cast = _Named("cast.json")
    """The stock voice of every speaker, by language, and why."""
    refs = _Named("refs")
    refs_report = _Named("refs.json")
    segments = _Named("segments")
    segments_report = _Named("segments.json")
    journal = _Named("segments.journal")
    lengths = _Named("lengths.json")
    """State of the length model for this video's voices."""
    mix_report = _Named("mix.json")
    muxed = _Named("final_muxed.mkv")
    mux_report = _Named("mux.json")
    report = _Named("report.json")
    report_page = _Named("report.html")
    gate = _Named("gate.json")
    """Figures of the finished tracks by which the gate judges them."""
    decisions = _Named("decisions.json")
    """People's decisions on what the gate holds; they outlive every rerun."""
    edits = _Named("edits")
    checkpoints = _Named(".checkpoints")
    """Manifests of the stages' files, one per stage."""
    progress = _Named(".progress.json")
    """How far the stage is that works here now; gone with its end."""
    logs = _Named("logs")
    """Logs of the services that were started for this video."""
    temporary = _Named(".tmp")
    """Scratch files that no later stage needs; removed by `report` unless in debug mode."""

    def answers(self, part: str) -> Path:
        """Return the folder of the script analyzer's answers: for ``context``, or a language."""
        return self.root / "answers" / part

    def brief(self, language: str) -> Path:
        """Return the translation brief of a language, which adds to the context."""
        return self.root / "briefs" / f"{language}.json"

    def line_ref(self, index: int) -> Path:
        """Return the clean sample of a line that is long enough to be its own reference."""
        return self.refs / "lines" / f"{index}.wav"

    def ref(self, speaker: str) -> Path:
        return self.refs / f"{speaker}.wav"

    @property
    def trials(self) -> Path:
        """Folder of lines that were spoken to be heard, until the next run."""
        return self.segments / "trials"

    def take(self, language: str, index: int) -> Path:
        return self.segments / f"final_{language}_{index}.wav"

    def track(self, language: str, extension: str = "ac3") -> Path:
        return self.root / f"final_{language}.{extension}"

    def mix_state(self, language: str) -> Path:
        """Return what a later run needs to change a finished track in parts."""
        return self.checkpoints / f"mix_{language}.npz"

    def subtitles(self, stem: str, language: str) -> Path:
        """Return the dubbed text's file; a long stem is cut, to keep the name under 255 bytes."""
        short = os.fsencode(stem)[:180].decode("utf-8", "ignore").replace("\n", " ") or "video"
        return self.root / f"{short}.{language}.srt"

    def remove(self) -> None:
        """Remove the folder with everything but a person's edits and decisions."""
        for path in self.root.iterdir():
            if path in (self.edits, self.decisions):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        with contextlib.suppress(OSError):
            self.root.rmdir()

    def forget_lines(self) -> None:
        """Remove the journal and the takes, so that every line is drafted and spoken again."""
        self.journal.unlink(missing_ok=True)
        if self.segments.is_dir():
            shutil.rmtree(self.segments)


_held: ContextVar[frozenset[Path]] = ContextVar("dubarr_held", default=frozenset())


@contextlib.contextmanager
def exclusive(work: WorkDir) -> Iterator[None]:
    """Lock a video for this process; the lock ends with the process, however that ends.

    The lock is reentrant: a run holds it throughout, and so does each of its stages.

    Raises:
        VideoBusy: if another process holds it.
    """
    if work.root in _held.get():
        yield
        return
    with named_disk_errors(work.root):
        work.root.mkdir(parents=True, exist_ok=True)
        handle = (work.root / ".lock").open("w")
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise VideoBusy(
                f"another process is working in {work.root}: wait for it, or stop it"
            ) from None
        # Left by processes that were killed: no other process is at the video now.
        for path in unfinished(work):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        token = _held.set(_held.get() | {work.root})
        try:
            yield
        finally:
            _held.reset(token)


def unfinished(work: WorkDir) -> list[Path]:
    """Return the unfinished files and folders below a work folder, also those being written."""
    return sorted(work.root.rglob(f".*{TEMPORARY}*"))
