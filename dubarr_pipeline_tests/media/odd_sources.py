"""Small odd films, made on the spot by ffmpeg and mkvtoolnix. All are of two seconds."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

SECONDS = 2
_PICTURE = ("-f", "lavfi", "-i", f"testsrc2=s=96x64:r=25:d={SECONDS}")
_SOUND = ("-f", "lavfi", "-i", f"anoisesrc=d={SECONDS}:r=48000:a=0.1:seed=1")
_H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-threads", "1")
_HEVC = (
    "-c:v",
    "libx265",
    "-preset",
    "ultrafast",
    "-x265-params",
    "log-level=none:pools=1:frame-threads=1:hdr10=1:colorprim=bt2020:transfer=smpte2084"
    ":colormatrix=bt2020nc:max-cll=1000,400"
    ":master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)",
)
_SUBRIP = (
    "1\n00:00:00,300 --> 00:00:00,900\n<i>Hello</i> & wörld\n\n"
    "2\n00:00:01,000 --> 00:00:01,500\nTwo\nlines\n"
)
_METADATA = (
    ';FFMETADATA1\ntitle=A Film: "quoted"\nDATE=1999\n'
    "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=700\ntitle=Öne\n"
    "[CHAPTER]\nTIMEBASE=1/1000\nSTART=700\nEND=2000\ntitle=Two\n"
)


def ffmpeg(*arguments: str | Path) -> bytes:
    """Run ffmpeg and return what it printed."""
    command = ["ffmpeg", "-hide_banner", "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def mkvtool(tool: str, *arguments: str | Path) -> bytes:
    """Run one of mkvtoolnix's programs and return what it printed."""
    done = subprocess.run([tool, *map(str, arguments)], check=False, capture_output=True)
    assert done.returncode in (0, 1), done.stdout
    return done.stdout


def subrip(folder: Path) -> Path:
    path = folder / "text.srt"
    path.write_text(_SUBRIP, encoding="utf-8")
    return path


def dub(folder: Path, name: str = "dub.ac3") -> Path:
    path = folder / name
    if not path.exists():
        ffmpeg("-f", "lavfi", "-i", "sine=f=440:d=1.5:r=48000", path)
    return path


def matroska(folder: Path) -> Path:
    """Every sound and text that Matroska holds, chapters, tags, a font, a cover."""
    inputs = [*_PICTURE, *_SOUND, *_SOUND[:3], f"{_SOUND[3]},aformat=channel_layouts=5.1"]
    text = subrip(folder)
    (folder / "film.txt").write_text(_METADATA, encoding="utf-8")
    inputs += ["-i", str(text), "-i", str(text), "-f", "ffmetadata", "-i", str(folder / "film.txt")]
    sounds = ["aac", "ac3", "eac3", "dca", "truehd", "flac", "libopus", "libvorbis", "libmp3lame"]
    sounds += ["pcm_s16le", "pcm_s24le"]
    wide = {"ac3", "eac3", "dca", "truehd"}
    maps = ["-map", "0", *(p for s in sounds for p in ("-map", "2" if s in wide else "1"))]
    codecs = [p for n, s in enumerate(sounds) for p in (f"-c:a:{n}", s)]
    font, plain = folder / "Odd ' name: ü.ttf", folder / "plain.mkv"
    font.write_bytes(bytes(range(256)) * 8)
    ffmpeg(
        *(*inputs, *maps, "-map", "3", "-map", "4", "-map_metadata", "5", "-map_chapters", "5"),
        *(*_H264, *codecs, "-strict", "-2", "-c:s:0", "srt", "-c:s:1", "ass"),
        *("-metadata:s:a:0", "language=eng", "-metadata:s:a:0", "title=Main: 'x'"),
        *("-metadata:s:a:1", "language=fre", "-disposition:a:0", "default"),
        *("-disposition:a:1", "comment", "-disposition:s:0", "forced"),
        *("-attach", font, "-metadata:s:t", "mimetype=application/x-truetype-font", plain),
    )
    cover, path = folder / "cover.png", folder / "every codec.mkv"
    ffmpeg(*_PICTURE, "-frames:v", "1", cover)
    attached = ["--attachment-description", "Fröntcover", "--attach-file", cover]
    mkvtool("mkvmerge", "-q", "--disable-lacing", "-o", path, plain, *attached)
    return path


def mp4(folder: Path) -> Path:
    """Edit lists with sound before 0, text that Matroska cannot hold, a cover."""
    cover = folder / "cover.png"
    ffmpeg(*_PICTURE, "-frames:v", "1", cover)
    path = folder / "film.mp4"
    inputs = [*_PICTURE, *_SOUND, "-i", subrip(folder), "-i", cover]
    maps = ["-map", "0", "-map", "1", "-map", "1", "-map", "2", "-map", "3"]
    codecs = [*_H264, "-c:a:0", "aac", "-c:a:1", "ac3", "-c:s", "mov_text", "-c:v:1", "png"]
    ffmpeg(*inputs, *maps, *codecs, "-disposition:v:1", "attached_pic", path)
    return path


def mov(folder: Path) -> Path:
    """A time code track, and chapters, which are a text track of their own there."""
    path = folder / "film.mov"
    (folder / "film.txt").write_text(_METADATA, encoding="utf-8")
    marks = ["-f", "ffmetadata", "-i", folder / "film.txt", "-map_metadata", "2"]
    codecs = [*_H264, "-c:a", "alac", "-timecode", "01:00:00:00"]
    ffmpeg(
        *_PICTURE, *_SOUND, *marks, "-map", "0", "-map", "1", "-map_chapters", "2", *codecs, path
    )
    return path


def webm(folder: Path) -> Path:
    """Opus, which begins before 0 by its delay, and WebVTT."""
    path = folder / "film.webm"
    codecs = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-threads", "1"]
    codecs += ["-c:a", "libopus", "-c:s", "webvtt"]
    inputs = [*_PICTURE, *_SOUND, "-i", subrip(folder)]
    ffmpeg(*inputs, "-map", "0", "-map", "1", "-map", "2", *codecs, path)
    return path


def avi(folder: Path) -> Path:
    """Pictures that carry no presentation times."""
    path = folder / "film.avi"
    codecs = ["-c:v", "mpeg4", "-bf", "2", "-c:a:0", "libmp3lame", "-c:a:1", "pcm_s16le"]
    ffmpeg(*_PICTURE, *_SOUND, "-map", "0", "-map", "1", "-map", "1", *codecs, path)
    return path


def two_programs(folder: Path) -> Path:
    """A broadcast of two programmes, H.264 with AAC and MPEG-2 with MP2."""
    path = folder / "two.ts"
    maps = ["-map", "0", "-map", "1", "-map", "0", "-map", "1"]
    codecs = [*_H264, "-c:a:0", "aac", "-c:v:1", "mpeg2video", "-c:a:1", "mp2"]
    programs = ["-program", "title=One:st=0:st=1", "-program", "title=Two:st=2:st=3"]
    ffmpeg(*_PICTURE, *_SOUND, *maps, *codecs, *programs, path)
    return path


def disc(folder: Path) -> Path:
    """A Blu-ray stream: HEVC, E-AC-3, 24-bit PCM and picture subtitles."""
    path, pictures = folder / "disc.m2ts", folder / "pictures.sup"
    pictures.write_bytes(picture_subtitles())
    inputs = [*_PICTURE, *_SOUND, "-i", pictures]
    maps = ["-map", "0", "-map", "1", "-map", "1", "-map", "2"]
    codecs = [*_HEVC, "-pix_fmt", "yuv420p10le", "-c:a:0", "eac3", "-c:a:1", "pcm_bluray"]
    codecs += ["-sample_fmt:a:1", "s32", "-ac:a:1", "2", "-c:s", "copy"]
    ffmpeg(*inputs, *maps, *codecs, "-mpegts_m2ts_mode", "1", path)
    return path


def hdr(folder: Path) -> Path:
    """HEVC with HDR10 metadata, and picture subtitles of both kinds."""
    path, pictures = folder / "hdr.mkv", folder / "pictures.sup"
    pictures.write_bytes(picture_subtitles())
    maps = ["-map", "0", "-map", "1", "-map", "1"]
    codecs = [*_HEVC, "-pix_fmt", "yuv420p10le", "-c:s:0", "copy", "-c:s:1", "dvdsub"]
    ffmpeg(*_PICTURE, "-i", pictures, *maps, *codecs, path)
    return path


def uneven(folder: Path) -> Path:
    """Frames of changing lengths, on a clock that begins at 12.5 s."""
    path = folder / "uneven.mkv"
    pace = "setpts='if(lt(N,20),N/25,20/25+(N-20)/17)/TB'"
    timing = ["-vf", pace, "-vsync", "vfr", "-output_ts_offset", "12.5"]
    ffmpeg(*_PICTURE, *_SOUND, *timing, *_H264, "-c:a", "aac", "-disposition:a", "default", path)
    return path


def cut(folder: Path) -> Path:
    """An MP4 cut at no key frame: pictures and sound lie before its beginning."""
    path = folder / "cut.mp4"
    ffmpeg("-ss", "0.7", "-i", mp4(folder), "-map", "0:v:0", "-map", "0:a", "-c", "copy", path)
    return path


def odd_units(folder: Path) -> Path:
    """H.264 with delimiters and filler, which mkvmerge would drop."""
    path = folder / "units.mkv"
    units = "aud=1:nal-hrd=cbr:filler=1"
    rate = ["-b:v", "300k", "-maxrate", "300k", "-bufsize", "300k"]
    ffmpeg(*_PICTURE, *_SOUND, *_H264, "-x264-params", units, *rate, "-c:a", "flac", path)
    return path


ODD: dict[str, Callable[[Path], Path]] = {
    source.__name__: source
    for source in (
        *(matroska, mp4, mov, webm, avi, two_programs, disc, hdr, uneven, cut, odd_units),
    )
}


@lru_cache(maxsize=1)
def picture_subtitles() -> bytes:
    """A minimal PGS stream: a grey bar shown twice."""
    return b"".join(
        [*_shown(0.3, 0), *_hidden(0.9, 1), *_shown(1.0, 2), *_hidden(1.5, 3)],
    )


_WIDTH, _HEIGHT = 16, 4


def _shown(time_s: float, number: int) -> list[bytes]:
    composition = struct.pack(">HHBHBBBB", 96, 64, 0x10, number, 0x80, 0, 0, 1)
    composition += struct.pack(">HBBHH", 0, 0, 0, 10, 10)
    lines = (b"\x01" * _WIDTH + b"\0\0") * _HEIGHT
    picture = struct.pack(">HBB", 0, 0, 0xC0) + struct.pack(">I", len(lines) + 4)[1:]
    picture += struct.pack(">HH", _WIDTH, _HEIGHT) + lines
    palette = bytes([0, 0, 1, 235, 128, 128, 255])
    parts = [(0x16, composition), (0x17, _window()), (0x14, palette), (0x15, picture), (0x80, b"")]
    return [_segment(time_s, kind, body) for kind, body in parts]


def _hidden(time_s: float, number: int) -> list[bytes]:
    composition = struct.pack(">HHBHBBBB", 96, 64, 0x10, number, 0, 0, 0, 0)
    parts = [(0x16, composition), (0x17, _window()), (0x80, b"")]
    return [_segment(time_s, kind, body) for kind, body in parts]


def _window() -> bytes:
    return struct.pack(">BBHHHH", 1, 0, 10, 10, _WIDTH, _HEIGHT)


def _segment(time_s: float, kind: int, body: bytes) -> bytes:
    return b"PG" + struct.pack(">IIBH", int(time_s * 90000), 0, kind, len(body)) + body
