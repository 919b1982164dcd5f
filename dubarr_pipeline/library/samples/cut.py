"""Cut of a stretch of a film into a small film of its own, with its sound and its subtitles.

The picture is copied from a key frame on, or encoded anew where it cannot be; the sound is decoded
and kept without loss, so that it begins at the very sample; both keep the film's time stamps.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from dubarr_pipeline.errors import MediaToolError, NotAVideo
from dubarr_pipeline.files import whole_file
from dubarr_pipeline.library.samples.minute import CUES_RATE, Minute, clock
from dubarr_pipeline.library.source import Source
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container import ffmpeg_graph as graph
from dubarr_pipeline.media.container.probe import PROBE_TIMEOUT_S, probe
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.media.subtitles.read import write_srt
from dubarr_pipeline.media.subtitles.sources import SubtitleSource
from dubarr_pipeline.spans import Span

_log = logging.getLogger(__name__)

_FARTHEST_KEY_S = 10.0
"""Time before the stretch in which a key frame is taken; beyond it the picture is encoded."""
_BEFORE_KEY_S = 0.002
"""Containers round time stamps to 1 ms: so much earlier the key frame itself is not passed over."""
_LEAD_S = 10.0
"""Where the picture is encoded, decoding begins so much earlier: broadcasts cannot be sought, and
begin with the next key frame."""
_APART_S = 0.5
"""Sound and picture that begin further from each other were cut at different places."""
_FLAC_CHANNELS = 8
_ENCODED: graph.Options = {
    "c:v": "libx264",
    "preset": "ultrafast",
    "crf": 20,
    "pix_fmt": "yuv420p",
}
_SCALED: graph.Options = {"w": "trunc(min(iw,1280)/2)*2", "h": -2}
_COPIED: graph.Options = {"c:v": "copy", "copypriorss:v": 0}


@dataclass(frozen=True, slots=True)
class TimedSubtitle:
    """A subtitle of a film with its cues, at `CUES_RATE` on the player's clock."""

    source: SubtitleSource
    cues: Sequence[Cue]

    def within(self, minute: Minute) -> list[Cue]:
        """Return the cues that are spoken in a stretch, on its own clock."""
        first, end = (round(each * CUES_RATE) for each in (minute.start_s, minute.end_s))
        found: list[Cue] = []
        for cue in self.cues:
            middle = (cue.span.start + cue.span.end) // 2
            if not cue.sign and first <= middle < end:
                span = Span(max(0, cue.span.start - first), min(end, cue.span.end) - first)
                text = f"{cue.name.upper()}: {cue.text}" if cue.name else cue.text
                found.append(Cue(span, text))
        return found


def cut_path(folder: Path, film: Path, minute: Minute) -> Path:
    """Return the path of a cut; the second film of one name and minute has a mark in its own."""
    stem = os.fsencode(film.stem)[:170].decode("utf-8", "ignore")
    name = f"{stem} {clock(minute.start_s).replace(':', '-')}"
    mark = hashlib.sha256(os.fsencode(film)).hexdigest()[:8]
    others = any(path.parent.name != mark for path in folder.glob(f"*/{escape(name)}.mkv"))
    own = folder / mark
    is_second = others and not (own / f"{name}.mkv").is_file()
    return own / (f"{name} {mark}.mkv" if is_second else f"{name}.mkv")


def cut_minute(
    source: Source, minute: Minute, subtitles: Sequence[TimedSubtitle], destination: Path
) -> Minute:
    """Write a stretch of a film as Matroska; return the stretch that it really holds.

    It holds the picture, the sound that is dubbed and the given subtitles. It may begin up to 10 s
    earlier than asked, at the picture's key frame.

    Raises:
        NotAVideo: if the film cannot be cut there.
    """
    key_s = _key_before(source, minute.start_s)
    if key_s is not None:
        start_s = max(0.0, key_s - _BEFORE_KEY_S)
        whole = Minute(start_s, minute.end_s - start_s, minute.reason)
        try:
            _write(source, whole, subtitles, destination, _COPIED)
            if _is_aligned(destination, source):
                return whole
            _log.info("%s: the copied picture does not begin with its sound", source.path)
        except (MediaToolError, NotAVideo) as error:
            _log.info("%s: its picture cannot be copied, it is encoded (%s)", source.path, error)
    try:
        _write(source, minute, subtitles, destination, _ENCODED)
    except MediaToolError as error:
        raise NotAVideo(
            f"{source.path} cannot be cut at {clock(minute.start_s)}: choose another time with "
            f"--at ({error})"
        ) from error
    return minute


def _write(
    source: Source,
    minute: Minute,
    subtitles: Sequence[TimedSubtitle],
    destination: Path,
    picture: graph.Options,
) -> None:
    stream, info = source.audio, source.info
    lead_s = 0.0 if picture is _COPIED else min(_LEAD_S, minute.start_s)
    place = {"ss": f"{minute.start_s - lead_s:.3f}", "t": f"{minute.length_s + lead_s:.3f}"}
    film = graph.open_source(info.path, place)
    sounds = [film.stream(index) for index in stream.parts or (stream.index,)]
    sound = graph.joined(sounds, stream.layout or "") if stream.parts else sounds[0]
    shown = film.stream(info.video[0].index)
    if picture is _ENCODED:
        begin, moved = {"start": lead_s}, {"expr": f"PTS-{lead_s:.3f}/TB"}
        shown = shown.filter("trim", begin).filter("setpts", moved).filter("scale", _SCALED)
        sound = sound.filter("atrim", begin).filter("asetpts", moved)
    links = [shown, sound]
    options: dict[str, str | int | float | None] = {
        **picture,
        "c:a": "flac" if stream.channels <= _FLAC_CHANNELS else "pcm_s24le",
        "sample_fmt": "s32",
        "compression_level": 0,
        "c:s": "subrip",
        "map_metadata": -1,
        "map_chapters": -1,
        "fflags": "+bitexact",
        "flags:a": "+bitexact",
        "metadata:s:a:0": f"language={source.language or 'und'}",
        "f": "matroska",
    }
    with tempfile.TemporaryDirectory(prefix="dubarr-sample-") as scratch:
        number = 0
        for subtitle in subtitles:
            cues = subtitle.within(minute)
            if cues:
                path = Path(scratch) / f"{number}.srt"
                write_srt(path, cues, CUES_RATE)
                links.append(graph.open_input(path, {"f": "srt"}).stream(0))
                language = subtitle.source.language or source.language or "und"
                options[f"metadata:s:s:{number}"] = f"language={language}"
                heard = subtitle.source.kind == "sdh"
                options[f"disposition:s:{number}"] = "hearing_impaired" if heard else "0"
                number += 1
        with whole_file(destination) as temporary:
            outputs = graph.output(links, temporary, options)
            ffmpeg.run(graph.command(outputs, flags=["-y"]))


def _key_before(source: Source, at_s: float) -> float | None:
    """Return the time of the last key frame up to a time; None if there is none near."""
    info = source.info
    film_s = info.start_s + at_s
    arguments = [
        *("-select_streams", str(info.video[0].index), "-show_entries", "packet=pts_time,flags"),
        *("-read_intervals", f"{film_s:.3f}%{film_s + _BEFORE_KEY_S:.3f}", "-of", "json"),
        *ffmpeg.source_arguments(info.path),
    ]
    try:
        answer = ffmpeg.run(arguments, tool="ffprobe", timeout_s=PROBE_TIMEOUT_S).stdout
        packets = json.loads(answer.decode(errors="replace")).get("packets", ())
    except (MediaToolError, ValueError):
        return None
    keys = [
        float(packet["pts_time"]) - info.start_s
        for packet in packets
        if "K" in packet.get("flags", "") and "pts_time" in packet
    ]
    near = (key_s for key_s in keys if -_BEFORE_KEY_S <= at_s - key_s <= _FARTHEST_KEY_S)
    return max(near, default=None)


def _is_aligned(path: Path, source: Source) -> bool:
    """Return whether picture and sound of a cut begin together, as far as the film's do."""
    cut = probe(path)
    if not (cut.video and cut.audio):
        return False
    late_s = max(0.0, source.audio.start_s - source.info.start_s)
    return cut.video[0].start_s <= _APART_S and cut.audio[0].start_s <= _APART_S + late_s
