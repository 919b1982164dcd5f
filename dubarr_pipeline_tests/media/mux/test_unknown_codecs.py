"""Matroska tracks that ffmpeg does not know arrive whole, or the film is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.errors import NoAudio, NotMuxable, VerificationError
from dubarr_pipeline.media.container.facts import read_facts
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline.media.container.streams import choose_audio
from dubarr_pipeline.media.mux import mux as mux_module
from dubarr_pipeline.media.mux.mux import DubTrack, MuxOptions, mux
from dubarr_pipeline.media.mux.stream_plan import plan_streams
from dubarr_pipeline_tests.fixtures.odd_sources import dub, ffmpeg, mkvtool

VTT = """WEBVTT - of a person

STYLE
::cue { color: red }

NOTE in front

one
00:00.100 --> 00:00.900 line:10% align:start
Guten <i>Abend</i>.

NOTE between

00:01.000 --> 00:01.800
Zwei.

00:01.200 --> 00:01.900 position:20%
<v Roger>Drei.
"""
USF = (
    '<?xml version="1.0" encoding="UTF-8"?><USFSubtitles version="1.0"><metadata><title>T</title>'
    '</metadata><subtitles><subtitle start="00:00:00.200" stop="00:00:01.000"><text>Good'
    " evening.</text></subtitle></subtitles></USFSubtitles>"
)
LATER = {"number", "flag_original", "default_track", "content_encoding_algorithms"}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sounds of two codecs, and a text for each codec that ffmpeg does not know."""
    folder = tmp_path_factory.mktemp("plain")
    bare, path = folder / "bare.mkv", folder / "plain.mkv"
    sound = ["-f", "lavfi", "-i", "sine=d=2"]
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=64x32:r=25:d=2", *sound, *sound, "-map", "0", "-map"),
        *(
            "1",
            "-map",
            "2",
            "-c:v",
            "libx264",
            "-bf",
            "2",
            "-c:a:0",
            "aac",
            "-c:a:1",
            "adpcm_ms",
            bare,
        ),
    )
    (folder / "a.vtt").write_text(VTT)
    (folder / "a.usf").write_text(USF)
    named = ["--language", "0:pt-BR", "--track-name", "0:Größe", "--forced-display-flag", "0:yes"]
    texts = [*named, folder / "a.vtt", "--hearing-impaired-flag", "0:yes", folder / "a.usf"]
    mkvtool("mkvmerge", "-q", "-o", path, bare, *texts, "--compression", "0:none", folder / "a.vtt")
    return path


def made_of(plain: Path, folder: Path, old: bytes, new: bytes, kind: int = 0) -> Path:
    """A film in which the last `old` is `new`, and the type of that track another."""
    content, path = plain.read_bytes(), folder / "film.mkv"
    at = content.rindex(old)
    if kind:
        typed = content.rindex(b"\x83\x81", 0, at) + 2
        content = content[:typed] + bytes([kind]) + content[typed + 1 :]
    path.write_bytes(content[:at] + new.ljust(len(old), b"\0") + content[at + len(old) :])
    return path


def tracks_of(path: Path) -> list[dict[str, Any]]:
    document = json.loads(mkvtool("mkvmerge", "--output-charset", "UTF-8", "-J", path))
    return [
        {key: value for key, value in track["properties"].items() if key not in LATER}
        for track in document["tracks"]
    ]


def texts_of(path: Path, *numbers: int) -> list[bytes]:
    """Everything that mkvextract writes of these tracks: settings, notes and times, too."""
    files = [path.with_suffix(f".{number}") for number in numbers]
    wanted = [f"{number}:{file}" for number, file in zip(numbers, files, strict=True)]
    mkvtool("mkvextract", path, "tracks", *wanted)
    return [file.read_bytes() for file in files]


@pytest.fixture
def film(plain: Path, tmp_path: Path) -> Path:
    """With WebVTT, USF, Kate, and a sound of a codec that nobody knows."""
    path = made_of(plain, tmp_path, b"S_TEXT/WEBVTT", b"S_KATE")
    mkvtool("mkvpropedit", path, "-e", "track:3", "-s", "codec-id=A_FOO/BAR", "-s", "language=fr")
    return path


def test_every_track_that_ffmpeg_does_not_know_arrives(film: Path, tmp_path: Path) -> None:
    once, again, tracks = (
        tmp_path / "once.mkv",
        tmp_path / "again.mkv",
        [DubTrack(dub(tmp_path), "es")],
    )
    report = mux(film, tracks, [], once, MuxOptions(default_policy="dub"))
    names = ["h264", "aac", "A_FOO/BAR", "S_TEXT/WEBVTT", "S_TEXT/USF", "S_KATE", "ac3"]
    assert [row.codec for row in report.streams] == names
    assert [row.packets for row in report.streams[3:6]] == [3, 1, 3]
    assert {row.proof for row in report.streams} == {"packets"}
    assert report.converted == ()
    own = tracks_of(film)
    assert own == tracks_of(once)[:-1]
    assert [own[3].get(name) for name in ("language_ietf", "track_name")] == ["pt-BR", "Größe"]
    assert own[3]["forced_track"]
    assert "41626" not in own[3]["codec_private_data"]
    assert texts_of(film, 3, 4) == texts_of(once, 3, 4)
    assert b"00:00:00.100 --> 00:00:00.900 line:10% align:start" in texts_of(once, 3)[0]
    mux(once, tracks, [], again, MuxOptions(replace_own=True))
    assert tracks_of(again)[:-1] == own
    assert texts_of(again, 3, 4) == texts_of(film, 3, 4)


def test_a_sound_that_ffmpeg_does_not_know_is_never_chosen(film: Path) -> None:
    assert choose_audio(probe(film), "fr").index == 1
    mkvtool("mkvpropedit", film, "-e", "track:2", "-s", "codec-id=A_FOO")
    with pytest.raises(NoAudio, match=r"can be decoded: .*A_FOO"):
        choose_audio(probe(film))


@pytest.mark.parametrize(
    ("old", "new", "kind", "named"),
    [
        (b"V_MPEG4/ISO/AVC", b"V_FOO", 0, r"stream 0 \(video, V_FOO\)"),
        (b"\2\0\1\0\x44\xac", b"\x77\x77\1\0\x44\xac", 0, r"stream 2 \(audio, A_MS/ACM\)"),
        (b"S_TEXT/USF", b"B_VOBBTN", 0x12, "a track of B_VOBBTN, .*--no-buttons"),
        (b"S_TEXT/USF", b"D_FOO", 0x21, "a track of D_FOO"),
        (b"S_TEXT/USF", b"D_FOO", 0x10, "a track of D_FOO"),
        (b"S_TEXT/USF", b"usf", 0, "a track of usf"),
    ],
)
def test_what_cannot_be_carried_is_refused_before_any_work(
    plain: Path, tmp_path: Path, old: bytes, new: bytes, kind: int, named: str
) -> None:
    path = made_of(plain, tmp_path, old, new, kind)
    with pytest.raises(NotMuxable, match=rf"film\.mkv.*{named}.*mux\.container"):
        plan_streams(read_facts(path))
    beside = mux(
        path,
        [DubTrack(dub(tmp_path), "es")],
        [],
        tmp_path / "o.mka",
        MuxOptions("keep", True, "mka"),
    )
    assert len(beside.streams) == 1


def test_a_codec_that_is_not_restored_is_noticed(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = mux_module.finish_headers

    def forget(wanted: Any, result: Any) -> Any:
        origins = finish(wanted, result)
        mkvtool("mkvpropedit", result.path, "-e", "track:4", "-s", "codec-id=S_TEXT/UTF8")
        return origins

    monkeypatch.setattr(mux_module, "finish_headers", forget)
    with pytest.raises(VerificationError, match=r"S_TEXT/WEBVTT.*codec's header differs"):
        mux(film, [DubTrack(dub(tmp_path), "es")], [], tmp_path / "out.mkv")
