"""ffmpeg's commands as graphs of inputs, filters and outputs, compiled by ffmpeg-python.

ffmpeg-python escapes, labels and orders; `ffmpeg` runs the command. Options are named as ffmpeg
names them, without the dash.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import ffmpeg as ffmpeg_python

from dubarr_pipeline.media.audio.channels import positions
from dubarr_pipeline.media.container import ffmpeg

Options = Mapping[str, str | int | float | None]
"""None for an option that takes no value."""

FLOATS: Options = {"c:a": "pcm_f32le", "f": "f32le"}
"""An output of bare float32 samples, channels interleaved."""

_BUILD_S = 60.0
"""Time that ffmpeg may take to say how it was configured, from a sleeping disk too."""
_library = cast(Any, ffmpeg_python)


@dataclass(frozen=True, slots=True)
class Link:
    """A stream between two nodes of a graph, or all that a file or pipe holds."""

    node: Any

    def stream(self, specifier: str | int) -> Link:
        """Return one stream of a file, e.g. ``2`` or ``"a:0"``."""
        return Link(self.node[str(specifier)])

    def filter(self, name: str, options: Options | None = None) -> Link:
        """Return what comes out of a filter with one input and one output."""
        return Link(_library.filter(self.node, name, **(options or {})))

    def split(self) -> tuple[Link, Link]:
        """Return the same sound twice."""
        twice = _library.filter_multi_output(self.node, "asplit")
        return Link(twice.stream(0)), Link(twice.stream(1))


def open_input(where: str | Path, options: Options | None = None) -> Link:
    """Return an input: a file of ours, or ``pipe:0``."""
    return Link(_library.input(_url(where), **(options or {})))


def open_source(path: Path, options: Options | None = None) -> Link:
    """Return the input for a file that may be hostile; see `ffmpeg.source_arguments`."""
    *safe, _, _ = ffmpeg.source_arguments(path)
    pairs = zip(safe[::2], safe[1::2], strict=True)
    return open_input(path, {**(options or {}), **{name[1:]: value for name, value in pairs}})


def output(links: Sequence[Link], where: str | Path, options: Options) -> Any:
    """Return an output of these streams, in this order."""
    return _library.output(*(link.node for link in links), _url(where), **options)


def command(*outputs: Any, flags: Sequence[str] = ()) -> list[str]:
    """Return ffmpeg's arguments for all outputs in one pass; `flags` go for the whole run.

    Inputs are numbered in the order in which the outputs' streams first name them.
    """
    joined = outputs[0] if len(outputs) == 1 else _library.merge_outputs(*outputs)
    arguments = cast("list[str]", _library.get_args(joined))
    return [
        *flags,
        *(os.fsdecode(a.encode("latin-1")) if a.startswith(_FILE) else a for a in arguments),
    ]


_FILE = ffmpeg.file_url("/")[:-1]


def _url(where: str | Path) -> str:
    """Return a file's name as ffmpeg-python can hold it: it refuses bytes that are not UTF-8."""
    if isinstance(where, str):
        return where
    return os.fsencode(ffmpeg.file_url(where)).decode("latin-1")


def joined(links: Sequence[Link], layout: str) -> Link:
    """Return mono sounds as the channels of one, in its layout's order."""
    places = positions(len(links), layout)
    channels = "|".join(f"{number}.0-{place}" for number, place in enumerate(places))
    options = {"inputs": len(links), "channel_layout": layout, "map": channels}
    return Link(_library.filter([link.node for link in links], "join", **options))


def resampled(link: Link, rate: int, build: str = "") -> Link:
    """Return sound at another rate, by soxr where this ffmpeg has it.

    `build` is how ffmpeg was configured, where that is known: else a process of it is asked.
    """
    has_soxr = "--enable-libsoxr" in (build or _build(shutil.which("ffmpeg")))
    soxr: Options = {"resampler": "soxr", "precision": 24} if has_soxr else {}
    return link.filter("aresample", {"sample_rate": rate, **soxr})


@cache
def _build(_program: str | None) -> str:
    return ffmpeg.run(["-buildconf"], timeout_s=_BUILD_S).stdout.decode(errors="replace")
