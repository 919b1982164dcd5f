"""Plan of each source stream in Matroska, and of its proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dubarr_pipeline.errors import NotMuxable
from dubarr_pipeline.media.container.facts import ContainerFacts, StreamFacts
from dubarr_pipeline.media.container.matroska import is_codec_id
from dubarr_pipeline.media.container.packet_times import read_edits
from dubarr_pipeline.media.container.transport_streams import seen_streams
from dubarr_pipeline.media.mux.options import MuxOptions

Proof = Literal[
    "packets", "coded units", "raw frames", "merged packets", "samples", "text", "attachment"
]
"""Kind of comparison between the source and the result.

``packets``: the bytes of every packet. ``coded units``: every H.264 or HEVC unit, because a
broadcast marks their beginnings and a file their lengths. ``raw frames``: every AAC frame without
its broadcast header. ``merged packets``: all segments of a PGS picture as one packet. ``samples``:
the decoded samples. ``text``: the cues. ``attachment``: the content.
"""

# Names all types, so that it filters nothing and leaves one way of marking the units' beginnings.
_SAME_FRAMING = "filter_units=pass_types=0-{}"
_UNIT_TYPES = {"h264": 31, "hevc": 63}
# Matroska (ffmpeg 5.1) has no place for these; the text goes into SubRip.
_TEXT = frozenset({"mov_text", "text", "eia_608"})
# Plain samples in a framing or byte order that Matroska does not have.
_OTHER_PCM = {
    "pcm_bluray": "",
    "pcm_dvd": "",
    "s302m": "",
    "pcm_s8": "pcm_u8",
    "pcm_f32be": "pcm_f32le",
    "pcm_f64be": "pcm_f64le",
}
_NO_PLACE = frozenset({"dvb_teletext", "xsub", "arib_caption", "ttml", "none", "unknown", ""})
_DISGUISES = {"audio": "pcm_s16le", "subtitle": "srt"}
"""Codecs of plain blocks, as which ffmpeg copies those of a codec that it does not know."""
MARK = "dubarr"
"""The track tag that says: this track was made by a machine, by this program."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A stream that moves into the result.

    Attributes:
        encoder: ``copy``, or the encoder for what Matroska cannot hold as it is.
        disguise: the codec as which ffmpeg copies one that it does not know; empty for none.
        source_filter: bitstream filter before the source's packets are compared; empty for none.
        result_filter: the same for the result's packets.
    """

    stream: StreamFacts
    proof: Proof = "packets"
    encoder: str = "copy"
    disguise: str = ""
    source_filter: str = ""
    result_filter: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A stream that does not move, and why."""

    stream: StreamFacts
    reason: str


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """The streams of a source: those that become tracks, stills, files, or stay behind."""

    tracks: tuple[Carried, ...]
    covers: tuple[StreamFacts, ...]
    attachments: tuple[StreamFacts, ...]
    left_out: tuple[LeftOut, ...]


def plan_streams(source: ContainerFacts, options: MuxOptions | None = None) -> StreamPlan:
    """Decide for every stream of a source how it moves into Matroska.

    Raises:
        NotMuxable: if a stream can neither move nor be left behind in good conscience.
    """
    if source.unseen:
        raise NotMuxable(
            f"{source.path} holds {', '.join(source.unseen)}, which ffmpeg cannot copy: remux it"
            " without (mkvmerge -o film.mkv --no-buttons FILM), or set mux.container to 'mka'"
        )
    options = options or MuxOptions()
    tracks: list[Carried] = []
    covers: list[StreamFacts] = []
    attachments: list[StreamFacts] = []
    left_out: list[LeftOut] = []
    for stream in source.streams:
        reason = _why_replaced(stream, options) or _why_left_out(source, stream)
        if reason:
            left_out.append(LeftOut(stream, reason))
        elif stream.kind == "attachment":
            attachments.append(stream)
        elif stream.is_cover:
            covers.append(stream)
        else:
            tracks.append(carry(stream, source.has_raw_framing))
    edits = read_edits(source)
    for track in tracks:
        if (cut_s := edits.line(track.stream.index).cut_s) is not None:
            raise NotMuxable(
                f"{source.path}: {track.stream.describe()} is cut within a group of pictures at"
                f" {cut_s:.3f} s, by an edit list, which Matroska does not have: cut it at key"
                " pictures (any editor), or set mux.container to 'mka'"
            )
    return StreamPlan(tuple(tracks), tuple(covers), tuple(attachments), tuple(left_out))


def _why_replaced(stream: StreamFacts, options: MuxOptions) -> str:
    if options.replace_own and MARK in stream.tags:
        return "it was made by an earlier run, and is replaced"
    dubbed = options.original_audio == "replace" and stream.index == options.original_stream
    return "the dubbed tracks take its place" if dubbed else ""


def _why_left_out(source: ContainerFacts, stream: StreamFacts) -> str:
    """Return the reason, or empty if it moves; refuse what cannot be copied."""
    if stream.kind == "data":
        return f"Matroska has no place for {stream.codec or 'unnamed'} data"
    stays = stream.codec in _NO_PLACE and (stream.known or stream.kind != "video")
    if stream.kind != "attachment" and stays and not source.is_matroska:
        return f"Matroska has no place for {stream.codec or 'a codec that ffmpeg does not know'}"
    name = f"{source.path}: {stream.describe()}"
    if stream.codec == "aac_latm":
        raise NotMuxable(
            f"{name} is AAC in LATM framing, which ffmpeg cannot copy into Matroska: remux it first"
            " (mkvmerge -o film.mkv FILM) and dub that, or set mux.container to 'mka'"
        )
    if stream.is_mirrored:
        raise NotMuxable(
            f"{name} is shown as in a mirror, which Matroska cannot say: turn the picture itself"
            " first (any editor), or set mux.container to 'mka'"
        )
    if stream.known:
        return ""
    if stream.pid and stream.pid not in seen_streams(source.path):
        return "it is announced, but no packet of it was found"
    raise NotMuxable(
        f"{name} cannot be copied, ffmpeg does not see its codec, rate or size: remux the file"
        " without it (mkvmerge -o film.mkv FILM), or set mux.container to 'mka'"
    )


def carry(stream: StreamFacts, raw_framing: bool) -> Carried:
    """Decide how one stream moves; `raw_framing` is `ContainerFacts.has_raw_framing`."""
    if is_codec_id(stream.codec):
        return Carried(stream, disguise=_DISGUISES[stream.kind])
    if stream.codec in _TEXT:
        return Carried(stream, "text", encoder="srt")
    if stream.codec in _OTHER_PCM:
        # ffmpeg decodes 16 bits to s16, 20 and 24 to s32.
        by_width = "pcm_s16le" if stream.sample_format == "s16" else "pcm_s24le"
        return Carried(stream, "samples", encoder=_OTHER_PCM[stream.codec] or by_width)
    if raw_framing and stream.codec in _UNIT_TYPES:
        same = _SAME_FRAMING.format(_UNIT_TYPES[stream.codec])
        return Carried(stream, "coded units", source_filter=same, result_filter=same)
    if raw_framing and stream.codec == "aac":
        return Carried(stream, "raw frames", source_filter="aac_adtstoasc")
    if raw_framing and stream.codec == "hdmv_pgs_subtitle":
        return Carried(stream, "merged packets", source_filter="pgs_frame_merge")
    return Carried(stream)
