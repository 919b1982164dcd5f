"""Where each artifact lies, and how a file comes to be there: whole, or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dubarr_pipeline.errors import ArtifactError, DiskFull, NotWritable, VideoBusy, WorkspaceError

_TEMPORARY = ".part"


@dataclass(frozen=True, slots=True)
class WorkDir:
    """The folder of one video, with the fixed names of its artifacts."""

    root: Path

    @property
    def video(self) -> Path:
        return self.root / "video.json"

    @property
    def vocals(self) -> Path:
        return self.root / "vocals.wav"

    @property
    def accompaniment(self) -> Path:
        return self.root / "accompaniment.wav"

    @property
    def speech(self) -> Path:
        """Where speech was found, and what the source sound measured."""
        return self.root / "speech.json"

    @property
    def diarization(self) -> Path:
        return self.root / "diarization.json"

    @property
    def cues(self) -> Path:
        """The subtitles that the script was taken from, on the clock of the sound."""
        return self.root / "cues.json"

    @property
    def transcription(self) -> Path:
        return self.root / "transcription.json"

    @property
    def context(self) -> Path:
        return self.root / "context.json"

    @property
    def speakers(self) -> Path:
        return self.root / "speakers.json"

    def answers(self, part: str) -> Path:
        """What a language model answered to the reader of the script: ``context``, or a language.

        Kept so that nothing is asked twice.
        """
        return self.root / "answers" / part

    def brief(self, language: str) -> Path:
        """What translators into a language are told beyond the context."""
        return self.root / "briefs" / f"{language}.json"

    @property
    def refs(self) -> Path:
        return self.root / "refs"

    def line_ref(self, index: int) -> Path:
        """A clean sample of one line, where it is long enough to be its own reference."""
        return self.refs / "lines" / f"{index}.wav"

    @property
    def refs_report(self) -> Path:
        return self.root / "refs.json"

    def ref(self, speaker: str) -> Path:
        return self.refs / f"{speaker}.wav"

    @property
    def segments(self) -> Path:
        return self.root / "segments"

    @property
    def segments_report(self) -> Path:
        return self.root / "segments.json"

    @property
    def journal(self) -> Path:
        return self.root / "segments.journal"

    @property
    def lengths(self) -> Path:
        """What the length model learned of this video's voices."""
        return self.root / "lengths.json"

    def take(self, language: str, index: int) -> Path:
        return self.segments / f"final_{language}_{index}.wav"

    @property
    def mix_report(self) -> Path:
        return self.root / "mix.json"

    def track(self, language: str, extension: str = "ac3") -> Path:
        return self.root / f"final_{language}.{extension}"

    def subtitles(self, stem: str, language: str) -> Path:
        """The dubbed text; a long stem is cut so that the name stays under 255 bytes."""
        short = os.fsencode(stem)[:180].decode("utf-8", "ignore").replace("\n", " ") or "video"
        return self.root / f"{short}.{language}.srt"

    @property
    def muxed(self) -> Path:
        return self.root / "final_muxed.mkv"

    @property
    def mux_report(self) -> Path:
        return self.root / "mux.json"

    @property
    def report(self) -> Path:
        return self.root / "report.json"

    @property
    def report_page(self) -> Path:
        return self.root / "report.html"

    @property
    def edits(self) -> Path:
        return self.root / "edits"

    @property
    def checkpoints(self) -> Path:
        """What each stage left: one small manifest per stage."""
        return self.root / ".checkpoints"

    @property
    def logs(self) -> Path:
        """What the services that were started for this video have said."""
        return self.root / "logs"

    @property
    def temporary(self) -> Path:
        """Scratch files that no later stage needs; removed by `report` unless in debug mode."""
        return self.root / ".tmp"

    def remove(self) -> None:
        """Remove the folder and all in it but a person's corrections."""
        for path in self.root.iterdir():
            if path == self.edits:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        with contextlib.suppress(OSError):
            self.root.rmdir()

    def forget_lines(self) -> None:
        """Remove the journal and the takes, so that every line is drafted and spoken anew."""
        self.journal.unlink(missing_ok=True)
        if self.segments.is_dir():
            shutil.rmtree(self.segments)


@contextlib.contextmanager
def named_disk_errors(path: Path, option: str = "--work-dir") -> Iterator[None]:
    """Turn the system's "no space", "read-only" and "not permitted" into errors with a cure.

    Args:
        path: what was to be written.
        option: how another folder is chosen.

    Raises:
        DiskFull, NotWritable, WorkspaceError: instead of the bare `OSError`.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"no room left on the disk of {path}: free some, then run again; "
                "what is finished is kept"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise NotWritable(
                f"cannot write {path}: {os.strerror(error.errno)}; "
                f"choose another folder with {option}"
            ) from error
        if error.errno == errno.EFBIG:
            raise WorkspaceError(
                f"{path} grows larger than its file system or the process's limit allows: "
                f"choose a folder on another file system with {option}, or raise `ulimit -f`"
            ) from error
        raise


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path; what was written there takes its name at the end, or is removed.

    The file is flushed to disk before it is renamed, and the folder after, so that a crash leaves
    the old file or the new one. The temporary name keeps the suffix: tools choose formats by it.
    """
    with named_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem[:40]}{_TEMPORARY}.", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)
            flush_to_disk(temporary)
            temporary.replace(path)
            flush_to_disk(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def flush_to_disk(path: Path) -> None:
    """Make a file's or a folder's contents survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole (UTF-8).

    A file name that is no UTF-8 holds lone surrogates: they are written as escapes, which JSON
    reads back as they were.
    """
    with whole_file(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, document: Any, schema: int = 1) -> None:
    """Write a JSON object whole, with its schema number in front."""
    write_text(
        path, json.dumps({"schema": schema, **document}, ensure_ascii=False, indent=1) + "\n"
    )


def read_json(path: Path, schema: int = 1) -> dict[str, Any]:
    """Read a JSON object that `write_json` wrote.

    Raises:
        ArtifactError: if it is missing, damaged, or of another schema.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{path} is missing: materialize the stage that makes it") from None
    except (ValueError, RecursionError, OSError) as error:
        raise ArtifactError(
            f"{path} is damaged ({error}): delete it, and its stage makes it anew"
        ) from error
    found = document.get("schema") if isinstance(document, dict) else None
    if found != schema:
        raise ArtifactError(
            f"{path} has schema {found!r}, this version reads {schema}: "
            "delete it, or use the version that wrote it"
        )
    return document


_held: ContextVar[frozenset[Path]] = ContextVar("dubarr_held", default=frozenset())


@contextlib.contextmanager
def exclusive(work: WorkDir) -> Iterator[None]:
    """Hold a video for this process; the hold ends with the process, however it ends.

    Who holds a video already may ask again: a run holds it throughout, and so does each stage.

    Raises:
        VideoBusy: if another process holds it.
    """
    if work.root in _held.get():
        yield
        return
    with _locked(work):
        _sweep(work)
        token = _held.set(_held.get() | {work.root})
        try:
            yield
        finally:
            _held.reset(token)


def unfinished(work: WorkDir) -> list[Path]:
    """The unfinished files and folders below a work folder; some may be in the making."""
    return sorted(work.root.rglob(f".*{_TEMPORARY}*"))


def _sweep(work: WorkDir) -> None:
    """Remove the unfinished files of processes that were killed: nobody else is at the video."""
    for path in unfinished(work):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(work: WorkDir) -> Iterator[None]:
    lock = work.root / ".lock"
    with named_disk_errors(work.root):
        work.root.mkdir(parents=True, exist_ok=True)
        handle = lock.open("w")
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise VideoBusy(
                f"another process is working in {work.root}: wait for it, or stop it"
            ) from None
        yield


def check_writable(folder: Path, option: str = "--work-dir") -> None:
    """See that files can be made in the folder, which is made if it is not there.

    Args:
        folder: where files are to be made.
        option: how another folder is chosen.

    Raises:
        NotWritable, DiskFull, WorkspaceError: saying why not.
    """
    try:
        with named_disk_errors(folder, option):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable."):
                pass
    except (FileExistsError, NotADirectoryError):
        raise WorkspaceError(f"{folder} is not a folder: choose another with {option}") from None
    except OSError as error:
        raise NotWritable(
            f"cannot make {folder}: {error.strerror}; choose another folder with {option}"
        ) from error
