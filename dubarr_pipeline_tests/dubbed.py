"""A dubbed video, measured again with other means than those that made it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]


def dubarr(*arguments: str | Path, work: Path) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    command = [sys.executable, "-m", "dubarr_pipeline.cli", *map(str, arguments)]
    return subprocess.run(
        [*command, "--work-dir", str(work)],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
        stdin=subprocess.DEVNULL,
    )


@dataclass(frozen=True)
class Dubbed:
    """A finished video: its source and its work folder."""

    source: Path
    folder: Path

    def document(self, name: str) -> dict[str, Any]:
        """One of its JSON artifacts."""
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    @property
    def muxed(self) -> Path:
        return self.folder / "final_muxed.mkv"

    def lines(self, language: str) -> list[dict[str, Any]]:
        """The lines of a language, from segments.json."""
        return self.document("segments.json")["languages"][language]

    def quality(self, name: str) -> dict[str, dict[str, Any]]:
        """A figure of the report, by language."""
        rows = self.document("report.json")["quality"]
        return {row["language"]: row for row in rows if row["name"] == name}


def find(work: Path, source: Path) -> Dubbed:
    """Find the work folder of a source."""
    for path in work.glob("*/video.json"):
        if json.loads(path.read_text(encoding="utf-8"))["source"] == str(source):
            return Dubbed(source, path.parent)
    raise AssertionError(f"no work folder of {source} in {work}")


def decode(path: Path, stream: str = "0:a:0", rate: int | None = None) -> Sound:
    """Decode an audio stream with ffmpeg alone: ``(channels, samples)`` float32."""
    channels = int(_probe(path, stream)["channels"])
    arguments = ["-map", stream, *(["-ar", str(rate)] if rate else []), "-f", "f32le", "pipe:1"]
    raw = _ffmpeg("-i", str(path), *arguments).stdout
    return np.frombuffer(raw, np.float32).reshape(-1, channels).T


def _probe(path: Path, stream: str) -> Mapping[str, Any]:
    specifier = stream.removeprefix("0:")
    told = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", specifier]  # noqa: RUF005
        + ["-show_streams", "-of", "json", str(path)],
        capture_output=True,
        check=True,
    )
    return json.loads(told.stdout)["streams"][0]


def _ffmpeg(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", *arguments], capture_output=True, check=True
    )


def packet_hashes(path: Path, streams: int) -> list[str]:
    """SHA-256 of the packets of each of the first streams."""
    maps = [part for index in range(streams) for part in ("-map", f"0:{index}")]
    told = _ffmpeg(
        "-i", str(path), *maps, "-c", "copy", "-f", "streamhash", "-hash", "sha256", "pipe:1"
    )
    return [line.rpartition("=")[2] for line in told.stdout.decode().splitlines()]


def loudness_lufs(path: Path, stream: str = "0:a:0") -> float:
    """Integrated loudness by ffmpeg's meter."""
    told = subprocess.run(
        ["ffmpeg", "-hide_banner", "-nostdin", "-i", str(path), "-map", stream]  # noqa: RUF005
        + ["-af", "ebur128", "-f", "null", "-"],
        capture_output=True,
        check=True,
        text=True,
    )
    summary = told.stderr.rpartition("Summary:")[2]
    return float(summary.partition("I:")[2].split()[0])


def matroska(path: Path) -> dict[str, Any]:
    """What mkvmerge says of a file."""
    told = subprocess.run(["mkvmerge", "-J", str(path)], capture_output=True, check=True)
    return json.loads(told.stdout)


def level_db(sound: Sound) -> float:
    """Mean power in dB of full scale."""
    return 10 * float(np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-20))


def missed(dubbed: Dubbed, names: Sequence[str]) -> list[str]:
    """The named figures of the report that do not reach their "must"."""
    rows = dubbed.document("report.json")["quality"]
    known = {row["name"] for row in rows}
    assert set(names) <= known, f"the report lacks {set(names) - known}"
    return [
        f"{row['language']}: {row['name']} = {row['value']}"
        for row in rows
        if row["name"] in names and row["met"] == "missed"
    ]
