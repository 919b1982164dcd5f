"""Wounded files of every kind that we read, by numbered dice, and what may come of them.

Run as a module for the long form: ``python -m dubarr_pipeline_tests.fuzzing 20000``.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dubarr_pipeline import artifacts, checkpoints
from dubarr_pipeline.errors import DubbingError
from dubarr_pipeline.library.inbox import Inbox
from dubarr_pipeline.library.publishing import read_publication
from dubarr_pipeline.library.videos import load_video
from dubarr_pipeline.library.webhooks import Refusal, WebhookOptions, WebhookServer
from dubarr_pipeline.library.wordings import read_edits
from dubarr_pipeline.media.matroska import track_languages
from dubarr_pipeline.media.probe import probe
from dubarr_pipeline.media.subtitles import find_subtitles, read_cues
from dubarr_pipeline.media.transport import reading_options
from dubarr_pipeline.media.wave_header import header_bytes, read_header
from dubarr_pipeline.media.wholeness import check_whole
from dubarr_pipeline.production.journal import Journal
from dubarr_pipeline.settings import load_settings
from dubarr_pipeline.timeline.script import Transcript
from dubarr_pipeline.workdir import WorkDir
from dubarr_pipeline_tests.media.synthetic import Film, make_film, media_info, noise
from dubarr_pipeline_tests.media.test_hostile_files import ASS, SRT, VTT, mutate

KEY = "film-01234567"
NAMED = (DubbingError, Refusal)
"""What may come out of a reader of files; anything else is a fault of ours."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
TOUCHING = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod")

IDENTITY = {"size": 4, "mtime_ns": 1, "ctime_ns": 1, "inode": 1, "digest": "0" * 64}
WEBHOOKS: Mapping[str, Any] = {
    "radarr": {"eventType": "Download", "movieFile": {"path": "/movies/a.mkv"}},
    "sonarr": {
        "eventType": "Rename",
        "renamedEpisodeFiles": [{"path": "/movies/b.mkv", "previousPath": "/movies/a.mkv"}],
    },
    "generic": {"event": "arrived", "paths": ["/movies/a.mkv", "/movies/b/c.mkv"]},
}
SETTINGS = """
profile = "lite"
[libraries.films]
path = "{root}/films"
target_langs = ["es", "ca"]
path_mappings = {{ "/movies" = "{root}/films" }}
quiet_hours = ["18:00-23:30"]
[libraries.films.rules]
exclude = ["*sample*"]
min_size_mb = 10
[mix]
preset = "duck"
[webhooks]
port = 8765
timeout_s = 2.5
"""
DOCUMENTS: Mapping[str, Any] = {
    "video.json": {
        "schema": 1,
        "key": KEY,
        "source": "/films/a.mkv",
        "identity": IDENTITY,
        "target_langs": ["es"],
        "profile": "lite",
        "overrides": {"mix.preset": "duck"},
        "library": "films",
    },
    ".checkpoints/mux.json": {
        "schema": 1,
        "stage": "mux",
        "files": {"final_muxed.mkv": IDENTITY, "mux.json": IDENTITY},
        "facts": {"a": 1},
    },
    "published.json": {
        "schema": 1,
        "mode": "replace",
        "files": [{"path": "/films/a.mkv", "digest": "0"}],
        "source": "/films/a.mkv",
        "original": "/films/.dubarr-originals/a.mkv",
        "keep_until_s": 1.0,
        "published_s": 1.0,
    },
    "edits/es.json": {"lines": {"0": {"text": "Uno"}, "1": {"text": "Dos"}}},
    "transcription.json": {
        "schema": 1,
        "rate": 48000,
        "samples": 96000,
        "language": "en",
        "segments": [
            {"index": 0, "speaker": "S1", "start": 0.5, "end": 1.0, "text": "One", "words": []}
        ],
    },
    "diarization.json": {
        "schema": 1,
        "rate": 48000,
        "turns": [{"start": 0.1, "end": 0.9, "speaker": "S1"}],
    },
}
JOURNAL = "".join(
    json.dumps(entry) + "\n"
    for entry in (
        {"kind": "journal", "schema": 1},
        {"kind": "draft", "language": "es", "lines": [{"index": 0, "key": "a", "texts": ["x"]}]},
        {"kind": "take", "language": "es", "index": 0, "key": "b", "file": "0.wav"},
    )
)
ODD = ("1" * 5000, "-1", "1e999", "NaN", "null", "[]", "{}", '"\\ud800"', '"\\u0000"', "true")
ODD_PATHS = ("../" * 12 + "etc/passwd", "/etc/passwd", "a\\u0000b", "x" * 300, "\\ud800", "~root/x")


_Reader = Callable[[Path, bytes, random.Random], object]


@dataclass(frozen=True)
class Case:
    """One kind of file: its sound forms, and who reads it. `share`: of all wounded files."""

    name: str
    sound: tuple[bytes, ...]
    read: _Reader
    share: float


def wound(data: bytes, dice: random.Random) -> bytes:
    """Bytes as after a bad disk; of texts also odd values, deep nests and paths that lead out."""
    kind = dice.randrange(4)
    if kind == 0 or b"\0" in data[:4096]:
        return mutate(data, dice)
    text = data.decode("utf-8", "replace")
    values = list(re.finditer(r'-?\d+(\.\d+)?|"[^"\n]*"|\[\]|true|false|null', text))
    if not values or kind == 1:
        nest = dice.choice(("[", '{"a":', "(", "<", "{\\", "a.")) * dice.choice((10, 1000, 30_000))
        at = dice.randrange(len(text) + 1)
        return (text[:at] + nest + text[at:]).encode("utf-8", "replace")
    value = dice.choice(values)
    odd = dice.choice(ODD) if kind == 2 else f'"{dice.choice(ODD_PATHS)}"'
    return (text[: value.start()] + odd + text[value.end() :]).encode("utf-8", "replace")


def cases(folder: Path) -> list[Case]:
    """All kinds, with their readers; `folder` takes the sound films."""
    films = tuple(_films(folder))
    server = WebhookServer(
        load_settings(_write(folder / "s.toml", _settings(folder)), folder / "work"),
        WebhookOptions(port=0),
        "a token of some letters",
    )
    server.close()
    return [
        Case("films by ffprobe", films, _probe, 0.05),
        Case("headers of films", films, _headers, 0.25),
        Case("subtitles", tuple((t * 5).encode() for t in (SRT, ASS, VTT)), _subtitles, 0.2),
        *(
            Case(name, (json.dumps(each).encode(),), _reader(name), 0.2 / len(DOCUMENTS))
            for name, each in DOCUMENTS.items()
        ),
        Case("journals", (JOURNAL.encode(),), _journal, 0.05),
        Case("settings", (_settings(folder).encode(),), _read_settings, 0.1),
        *(
            Case(sender, (json.dumps(each).encode(),), _taker(server, sender), 0.15 / len(WEBHOOKS))
            for sender, each in WEBHOOKS.items()
        ),
    ]


def _films(folder: Path) -> Iterator[bytes]:
    sound = noise(2, 4_800)
    for name, codec in (
        ("a.mkv", "flac"),
        ("a.mp4", "aac"),
        ("a.avi", "libmp3lame"),
        ("a.ts", "ac3"),
    ):
        yield make_film(folder / name, sound, Film(codec=codec)).read_bytes()
    yield header_bytes(48_000, 2, "stereo", 600) + bytes(4_800)


def _settings(root: Path) -> str:
    return SETTINGS.format(root=root)


def _write(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def _probe(folder: Path, data: bytes, dice: random.Random) -> object:
    return probe(_write(folder / f"a.{dice.choice(('mkv', 'mp4', 'ts'))}", data), timeout_s=60)


def _headers(folder: Path, data: bytes, dice: random.Random) -> object:
    path = _write(folder / "a.mkv", data)
    with contextlib.suppress(*NAMED):
        check_whole(path)
    with contextlib.suppress(*NAMED):
        track_languages(path)
    with contextlib.suppress(*NAMED):
        reading_options(path)
    with path.open("rb") as stream:
        return read_header(stream, path)


def _subtitles(folder: Path, data: bytes, dice: random.Random) -> object:
    suffix = dice.choice(("srt", "ass", "vtt"))
    path = _write(folder / f"film.en.{suffix}", data)
    info = media_info(path=folder / "film.mkv")
    try:
        return read_cues(find_subtitles(info)[0], info, 48_000, 0.0)
    finally:
        path.unlink()


def _taker(server: WebhookServer, sender: str) -> _Reader:
    return lambda _folder, data, _dice: server.take(sender, data)


def _reader(name: str) -> _Reader:
    return lambda folder, data, _dice: _document(folder, name, data)


def _document(folder: Path, name: str, data: bytes) -> object:
    work = WorkDir(folder / KEY)
    path = _write(work.root / name, data)
    try:
        readers: Mapping[str, Callable[[], object]] = {
            "video.json": lambda: load_video(KEY, folder),
            ".checkpoints/mux.json": lambda: _checkpoint(work),
            "published.json": lambda: read_publication(work),
            "edits/es.json": lambda: read_edits(work, None, Transcript(1, 1, "en", ()), 0.0),  # pyright: ignore[reportArgumentType]
            "transcription.json": lambda: artifacts.read_transcript(path),
            "diarization.json": lambda: artifacts.read_diarization(path),
        }
        with contextlib.suppress(*NAMED):
            Inbox(folder).read(str(path))
        return readers[name]()
    finally:
        path.unlink(missing_ok=True)


def _checkpoint(work: WorkDir) -> object:
    manifest = work.checkpoints / "mux.json"
    checkpoints.sealed_files(work, "mux")
    record = checkpoints.Record("f", "p", checkpoints._digest(manifest))  # pyright: ignore[reportPrivateUsage]
    wanted = checkpoints.Wanted("other", {"a": 2})
    checkpoints.decide(work, "mux", wanted, {}, record)
    checkpoints.damage(work, "mux", record.manifest)
    return checkpoints.forget(work, "mux")


def _journal(folder: Path, data: bytes, dice: random.Random) -> object:
    path = _write(folder / "segments.journal", data)
    with Journal(path) as journal:
        return journal.find("take", "es", 0, "b")


def _read_settings(folder: Path, data: bytes, dice: random.Random) -> object:
    return load_settings(_write(folder / "dubarr.toml", data), folder / "work")


class Watch:
    """Notes whatever this process writes, moves or removes outside a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.outside: list[str] = []
        self.on = False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open" and arguments[2] & WRITING and isinstance(arguments[0], str | bytes):
            self._note(event, arguments[0])
        elif event in TOUCHING:
            for each in arguments[:2]:
                if isinstance(each, str | bytes):
                    self._note(event, each)

    def _note(self, event: str, path: str | bytes) -> None:
        absolute = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - inside an audit hook
        if not (absolute + "/").startswith(self.folder + "/") and absolute != "/dev/null":
            self.outside.append(f"{event} {absolute}")


@dataclass
class Outcome:
    """What came of all wounded files."""

    files: Counter[str]
    refused: Counter[str]
    faults: list[str]
    outside: list[str]


def fuzz(folder: Path, count: int) -> Outcome:
    """Have `count` wounded files read; the same ones every time."""
    work = folder / "work"
    work.mkdir(parents=True)
    (work / "films").mkdir()
    found = Outcome(Counter(), Counter(), [], [])
    every, watch = cases(work), Watch(work)
    for case in every:
        for seed in range(round(count * case.share)):
            dice = random.Random(f"{case.name} {seed}")
            data = wound(dice.choice(case.sound), dice)
            found.files[case.name] += 1
            watch.on = True
            try:
                case.read(work, data, dice)
            except NAMED as error:
                found.refused[f"{case.name}: {type(error).__name__}"] += 1
            except Exception as error:
                found.faults.append(f"{case.name} {seed}: {error!r:.300}")
            finally:
                watch.on = False
    found.outside = watch.outside
    return found


def main() -> None:
    """Print what came of the long form."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        found = fuzz(Path(folder), count)
    lines = [f"{time.process_time() - started:.0f} CPU-seconds", f"files: {dict(found.files)}"]
    lines += [f"refused: {dict(found.refused)}", f"outside: {found.outside[:20]}"]
    lines += [f"{len(found.faults)} faults", *found.faults[:40]]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
