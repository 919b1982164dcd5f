"""A hostile file opens neither another file nor a connection, under whatever name it comes."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dubarr_pipeline.errors import DubbingError, MediaToolError
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container.facts import read_facts
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline_tests.fixtures.synthetic_media import make_film, noise

LISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}\n#EXT-X-ENDLIST\n",
    "hls in hls": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{address}\n",
    "hls key": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n"
    '#EXT-X-KEY:METHOD=AES-128,URI="{address}"\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n',
    "concat": "ffconcat version 1.0\nfile '{address}'\n",
    "concat beside": "ffconcat version 1.0\nfile secret.mkv\n",
    "dash": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-main:2011"><Period>'
    '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{address}'
    "</BaseURL><SegmentBase/></Representation></AdaptationSet></Period></MPD>\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP "
    "96\na=rtpmap:96 H264/90000\n",
    "rtsp": "RTSP/1.0 200 OK\r\nLocation: {address}\r\n\r\n",
    "asx": '<asx version="3.0"><entry><ref href="{address}"/></entry></asx>\n',
    "vobsub": "# VobSub index file, v7\nsize: 720x576\nid: en, index: 0\n"
    "timestamp: 00:00:00:000, filepos: 000000000\n",
}
"""Texts that send a player on to other places."""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port of this machine on which nobody may knock."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        found.setblocking(False)
        yield found


def places(listener: socket.socket, folder: Path) -> list[str]:
    port = listener.getsockname()[1]
    return [
        f"http://127.0.0.1:{port}/a.ts",
        f"tcp://127.0.0.1:{port}",
        f"file://{folder}/secret.mkv",
        "secret.mkv",
    ]


def nobody_knocked(listener: socket.socket) -> bool:
    try:
        listener.accept()
    except BlockingIOError:
        return True
    return False


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_in_a_videos_clothes_leads_nowhere(
    tmp_path: Path, listener: socket.socket, kind: str
):
    make_film(tmp_path / "secret.mkv", noise(1, 4_800))
    names = ("film.mkv", "film.m3u8", "film.idx") if kind == "hls" else ("film.mkv",)
    if kind == "vobsub":
        (tmp_path / "film.sub").write_bytes((tmp_path / "secret.mkv").read_bytes())
    for address in places(listener, tmp_path)[:: 1 if kind == "hls" else 2]:
        for name in names:
            text = LISTS[kind].format(address=address, port=listener.getsockname()[1])
            (tmp_path / name).write_text(text)
            with pytest.raises(DubbingError, match="not a video"):
                probe(tmp_path / name, timeout_s=20)
            with pytest.raises(DubbingError):
                read_facts(tmp_path / name)
    assert nobody_knocked(listener)


NAMES = (
    "-i.mkv",
    "--help.mkv",
    "concat:secret.mkv|secret.mkv",
    "http:127.0.0.1.mkv",
    "file:secret.mkv",
    "subfile,,start,0,end,0,,:secret.mkv",
    "crypto:secret.mkv",
    "cache:secret.mkv",
    "async:secret.mkv",
    "pipe:0",
    "data:text,x.mkv",
    "a%03d.mkv",
    "a\nb.mkv",
    "a|b.mkv",
    "$(touch x); `touch y` & touch z.mkv",
    "@secret.mkv",
    "=secret.mkv",
    "(secret.mkv).mkv",
    "film\\.mkv",
    "'film' \"film\".mkv",
    "*.mkv",
)
"""Names that a shell, ffmpeg or mkvtoolnix could take for something else."""


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    whole = make_film(tmp_path / "whole.mkv", noise(1, 4_800))
    make_film(tmp_path / "secret.mkv", noise(1, 48_000))
    monkeypatch.chdir(tmp_path)
    shutil.copy(whole, name)
    before = sorted(path.name for path in tmp_path.iterdir())
    assert probe(Path(name)).duration_s == pytest.approx(probe(whole).duration_s)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_no_tool_works_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ffmpeg, "LONGEST_S", 0.3)
    with pytest.raises(MediaToolError, match=r"ran for 0\.3 s"):
        ffmpeg.run(["60"], tool="sleep")
    silence = ["-re", "-f", "lavfi", "-i", "anullsrc", "-f", "f32le", "pipe:1"]
    with pytest.raises(MediaToolError, match=r"ran for 0\.3 s"):
        _drain(silence)


def _drain(arguments: list[str]) -> None:
    with ffmpeg.reader(arguments) as pipe:
        while pipe.read(1 << 16):
            pass
