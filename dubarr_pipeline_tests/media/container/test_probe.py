"""What a container holds, and which files are refused, by name and with the cure."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.errors import DubbingError, MediaToolError, NotAVideo, SourceMissing
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container import probe as probe_module
from dubarr_pipeline.media.container.facts import read_facts
from dubarr_pipeline.media.container.mp4 import track_names
from dubarr_pipeline.media.container.probe import keep_answer, probe, probe_video
from dubarr_pipeline_tests.fixtures.synthetic_media import Film, make_film, noise


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of picture and sound in each container."""
    folder = tmp_path_factory.mktemp("films")
    for name, codec, extra in (
        ("a.mkv", "flac", ()),
        ("a.webm", "libopus", ("-c:v", "libvpx", "-deadline", "realtime")),
        ("front.mp4", "aac", ("-movflags", "+faststart")),
        ("back.mp4", "aac", ()),
        ("fragments.mp4", "aac", ("-movflags", "+frag_keyframe+empty_moov")),
        ("a.mov", "pcm_s16le", ()),
        ("a.avi", "libmp3lame", ()),
        ("a.ts", "mp2", ()),
    ):
        make_film(folder / name, noise(2, 48_000), Film(codec=codec, extra=extra))
    return folder


def test_a_box_that_leads_beyond_all_places_ends_the_search(tmp_path: Path):
    path = tmp_path / "film.mp4"
    box = b"\0\0\0\1" + b"free" + (2**63).to_bytes(8, "big")
    path.write_bytes(b"\0\0\0\x18" + b"moov" + box + bytes(32))
    assert track_names(path, "mov,mp4") == {}


CONTAINERS = ("a.mkv", "a.webm", "front.mp4", "back.mp4", "fragments.mp4", "a.mov", "a.avi", "a.ts")


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_is_read(films: Path, name: str):
    info = probe_video(films / name)
    assert [s.kind for s in info.streams] == ["video", "audio"]
    (audio,) = info.audio
    assert (audio.rate, audio.channels, audio.layout) == (48_000, 2, "stereo")
    assert info.duration_s == pytest.approx(1.0, abs=0.25)
    assert info.stream(1) is audio
    with pytest.raises(KeyError, match="#7"):
        info.stream(7)


@pytest.mark.parametrize("name", [n for n in CONTAINERS if n not in ("fragments.mp4", "a.ts")])
@pytest.mark.parametrize("share", [0.3, 0.75, 0.999])
def test_a_cut_file_is_refused(films: Path, tmp_path: Path, name: str, share: float):
    data = (films / name).read_bytes()
    cut = tmp_path / name
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(NotAVideo, match=r"truncated.*copy or download it again") as refused:
        probe(cut)
    assert str(cut) in str(refused.value)


def test_one_missing_byte_is_seen(films: Path, tmp_path: Path):
    for name in ("a.mkv", "front.mp4", "back.mp4", "a.avi"):
        data = (films / name).read_bytes()
        cut = tmp_path / name
        cut.write_bytes(data[:-1])
        with pytest.raises(NotAVideo, match=f"{len(data) - 1} of {len(data)} bytes"):
            probe(cut)


def test_bytes_behind_the_end_do_no_harm(films: Path, tmp_path: Path):
    for name in ("a.mkv", "front.mp4", "back.mp4", "a.avi"):
        longer = tmp_path / name
        longer.write_bytes((films / name).read_bytes() + bytes(4096))
        assert len(probe(longer).streams) == 2


def test_a_recording_of_open_length_is_whole(films: Path, tmp_path: Path):
    """What is written into a pipe says nowhere how long it is."""
    path = tmp_path / "live.mkv"
    path.write_bytes(
        ffmpeg.run(["-i", str(films / "a.mkv"), "-c", "copy", "-f", "matroska", "pipe:1"]).stdout
    )
    assert len(probe(path).streams) == 2


def test_an_mp4_without_its_index_says_so(films: Path, tmp_path: Path):
    data = (films / "back.mp4").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: data.index(b"moov") - 4])
    with pytest.raises(NotAVideo, match="truncated, its index is missing"):
        probe(cut)


@pytest.mark.parametrize(
    ("name", "content", "error", "words"),
    [
        ("empty.mkv", b"", NotAVideo, r"empty \(0 bytes\).*again"),
        ("text.mkv", b"Dear diary,\n" * 99, NotAVideo, "not a video"),
        ("a.srt", b"1\n00:00:01,000 --> 00:00:02,000\nHello\n\n" * 9, NotAVideo, "not a video"),
        ("zeros.mp4", bytes(100_000), NotAVideo, "truncated"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n", NotAVideo, "not a video"),
        ("list.mkv", b"ffconcat version 1.0\nfile /etc/passwd\n", NotAVideo, "not a video"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path: Path, name, content, error, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(error, match=words) as refused:
        probe(path)
    assert str(path) in str(refused.value)


def test_pictures_and_sound_alone_are_no_videos(tmp_path: Path):
    ffmpeg.run(["-f", "lavfi", "-i", "color=s=32x32", "-frames:v", "1", str(tmp_path / "a.png")])
    shutil.copy(tmp_path / "a.png", tmp_path / "png.mkv")
    for name in ("a.png", "png.mkv"):
        with pytest.raises(NotAVideo, match="not a video"):
            probe(tmp_path / name)
    ffmpeg.run(
        [
            "-f",
            "lavfi",
            "-i",
            "sine=d=1",
            "-i",
            str(tmp_path / "a.png"),
            "-map",
            "0",
            "-map",
            "1",
            "-disposition:v",
            "attached_pic",
            "-c:v",
            "png",
            str(tmp_path / "song.mp3"),
        ]
    )
    assert len(probe(tmp_path / "song.mp3").audio) == 1
    with pytest.raises(NotAVideo, match="sound alone"):
        probe_video(tmp_path / "song.mp3")


def test_absent_folder_pipe_and_device_are_named(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.mkv")
    for path, error, words in (
        (tmp_path / "none.mkv", SourceMissing, "not there"),
        (tmp_path / "none.mkv" / "deeper.mkv", SourceMissing, "not there"),
        (tmp_path, SourceMissing, "is a folder"),
        (tmp_path / "pipe.mkv", NotAVideo, "not an ordinary file"),
        (Path("/dev/null"), NotAVideo, "not an ordinary file"),
        (tmp_path / ("x" * 300), SourceMissing, "cannot be reached"),
        (tmp_path / "nul\0byte", SourceMissing, "cannot be reached"),
    ):
        with pytest.raises(error, match=words):
            probe(path)


def test_what_may_not_be_read_says_so(films: Path, tmp_path: Path):
    """As another user: the one who runs the tests may well be allowed everything."""
    secret = tmp_path / "secret.mkv"
    shutil.copy(films / "a.mkv", secret)
    secret.chmod(0)
    code = (
        "import os, sys, pathlib\n"
        "from dubarr_pipeline.media.container.probe import probe\n"
        "from dubarr_pipeline.errors import SourceMissing\n"
        "parent = pathlib.Path(sys.argv[1]).parent\n"
        "if os.getuid() == 0:\n"
        "    for folder in [parent, *parent.parents][:-2]: folder.chmod(0o755)\n"
        "    os.setuid(65534)\n"
        "try:\n    probe(pathlib.Path(sys.argv[1]))\n"
        "except SourceMissing as error:\n    print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(secret)], capture_output=True, text=True, check=True
    )
    assert f"{secret} may not be read" in told.stdout


@pytest.mark.parametrize(
    "name",
    [
        "-i.mkv",
        "100%d.mkv",
        "a:b.mkv",
        "new\nline.mkv",
        'it\'s "it".mkv',
        "ü 😀.mkv",
        "x" * 246 + ".mkv",
        b"caf\xe9\xff.mkv",
        "file:a.mkv",
        "pipe:0",
        "http:a",
        "a|b.mkv",
        "concat:a.mkv",
        "~.mkv",
    ],
)
def test_odd_names_are_just_names(films: Path, tmp_path: Path, name: str | bytes):
    path = tmp_path / os.fsdecode(name)
    shutil.copy(films / "a.mkv", path)
    assert len(probe(path).streams) == 2


def test_a_relative_name_with_a_dash(films: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(films / "a.mkv", "-i")
    assert len(probe(Path("-i")).streams) == 2


def test_it_gives_up_in_time(films: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    slow = tmp_path / "ffprobe"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(MediaToolError, match=r"a\.mkv cannot be read in time"):
        probe(films / "a.mkv", timeout_s=0.2)


def test_a_file_that_vanishes_while_it_is_read(films: Path, tmp_path: Path, monkeypatch):
    path = tmp_path / "a.mkv"
    shutil.copy(films / "a.mkv", path)
    plain = ffmpeg.run

    def vanish(*arguments, **options):
        path.unlink()
        return plain(*arguments, **options)

    monkeypatch.setattr(ffmpeg, "run", vanish)
    with pytest.raises(SourceMissing, match="vanished"):
        probe(path)


def test_tags_chapters_languages_and_flags(films: Path, tmp_path: Path):
    path = tmp_path / "a.mkv"
    marks = tmp_path / "marks"
    marks.write_text(
        ";FFMETADATA1\ntitle=Film\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=100\nEND=600\ntitle=One\n"
    )
    source = str(films / "a.mkv")
    ffmpeg.run(
        [
            *("-i", source, "-i", str(marks), "-map", "0:v"),
            *(("-map", "0:a") * 3),
            "-map_metadata",
            "1",
            "-c",
            "copy",
            "-metadata:s:a:0",
            "language=por",
            "-metadata:s:a:0",
            "title=Português (Brasil)",
            "-metadata:s:a:1",
            "language=ger",
            "-metadata:s:a:2",
            "language=chi",
            "-disposition:a:1",
            "comment+forced",
            str(path),
        ]
    )
    ffmpeg.run(
        [str(path), "--edit", "track:a3", "--set", "language-ietf=zh-Hant"], tool="mkvpropedit"
    )
    info = probe(path)
    assert [s.language for s in info.audio] == ["pt-BR", "de", "zh-Hant"]
    assert info.audio[0].title == "Português (Brasil)"
    assert info.audio[1].dispositions == {"comment", "forced"}
    facts = read_facts(path)
    assert facts.tags["title"] == "Film"
    assert [(c.start_us, c.title) for c in facts.chapters] == [(100_000, "One")]
    assert 'audio (pt-BR, flac, stereo, "Português (Brasil)"' in info.audio[0].describe()


def test_covers_are_no_moving_picture_and_attachments_are_seen(films: Path, tmp_path: Path):
    cover = tmp_path / "cover.png"
    ffmpeg.run(["-f", "lavfi", "-i", "color=s=32x32", "-frames:v", "1", str(cover)])
    path = tmp_path / "a.mkv"
    ffmpeg.run(
        [
            str(films / "a.mkv"),
            "--attach-file",
            str(cover),
            "--attachment-mime-type",
            "application/x-truetype-font",
            "--attach-file",
            str(films / "a.ts"),
            "-o",
            str(path),
        ],
        tool="mkvmerge",
    )
    info = probe(path)
    assert len(info.video) == 1
    assert len(info.of_kind("video")) == 2
    assert len(info.of_kind("attachment")) == 1


def test_late_sound_and_a_clock_that_does_not_start_at_zero(tmp_path: Path):
    path = make_film(tmp_path / "a.ts", noise(2, 24_000), Film(codec="mp2", delay_s=1.5))
    info = probe(path)
    assert info.start_s == pytest.approx(1.4, abs=0.1)
    assert info.audio[0].start_s - info.start_s == pytest.approx(1.5, abs=0.03)


def test_the_shared_videos(shared_media: Path):
    for path in (shared_media / "video").glob("*.mp4"):
        info = probe_video(path)
        assert len(info.video) == len(info.audio) == 1
        assert info.audio[0].rate == 44_100


def test_all_refusals_are_one_family(tmp_path: Path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(DubbingError):
            probe(path)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tools that `ffmpeg.run` starts from now on."""
    tools, run = list[str](), ffmpeg.run

    def counting(*arguments: Any, tool: str = "ffmpeg", **options: Any) -> ffmpeg.ToolOutput:
        tools.append(tool)
        return run(*arguments, tool=tool, **options)

    monkeypatch.setattr(ffmpeg, "run", counting)
    return tools


def test_a_file_is_read_once_for_all_who_ask(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    film = shutil.copy(films / "a.mkv", tmp_path / "film.mkv")
    tools = counted(monkeypatch)
    assert probe(film) == probe_video(film)
    assert len(read_facts(film).streams) == len(probe(film).streams)
    assert tools == ["ffprobe"]


def test_a_file_of_the_same_size_and_date_is_read_again(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    film = shutil.copy(films / "a.mkv", tmp_path / "film.mkv")
    before = film.stat()
    first = probe(film)
    data = film.read_bytes()
    assert data.count(b"00:00:01.") == 2
    film.write_bytes(data.replace(b"00:00:01.", b"00:00:00."))
    os.utime(film, ns=(before.st_atime_ns, before.st_mtime_ns))
    tools = counted(monkeypatch)
    assert probe(film).audio[0].duration_s != first.audio[0].duration_s
    assert read_facts(film).streams[1].tags["duration"] == probe(film).audio[0].tags["duration"]
    assert tools == ["ffprobe"]
    film.unlink()
    with pytest.raises(SourceMissing):
        probe(film)


def test_a_kept_answer_spares_ffprobe_while_the_film_is_the_same(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    film, kept = Path(shutil.copy(films / "a.mkv", tmp_path / "film.mkv")), tmp_path / "kept.json"
    told = probe(film)
    keep_answer(film, kept)
    # What another process does: it has read nothing yet.
    for memory in (probe_module._probe, probe_module._describe):
        monkeypatch.setattr(probe_module, memory.__name__, memory.__wrapped__)
    tools = counted(monkeypatch)
    assert probe(film, kept=kept) == told
    keep_answer(film, kept)
    assert tools == []
    film.touch()
    assert probe(film, kept=kept).streams == told.streams
    kept.write_text("{")
    assert probe(film, kept=kept).streams == told.streams
    assert tools == ["ffprobe", "ffprobe"]
    keep_answer(film, kept)
    spoilt = json.loads(kept.read_text())
    spoilt["answer"]["streams"] = [5]
    kept.write_text(json.dumps(spoilt))
    assert probe(film, kept=kept).streams == told.streams
    film.write_bytes(film.read_bytes()[:2000])
    with pytest.raises(NotAVideo, match="truncated"):
        probe(film, kept=kept)


def test_a_refusal_is_not_remembered(films: Path, tmp_path: Path):
    film = tmp_path / "film.mkv"
    whole = (films / "a.mkv").read_bytes()
    film.write_bytes(whole[: len(whole) // 2])
    for _ in range(2):
        with pytest.raises(NotAVideo, match="truncated"):
            probe(film)
    film.write_bytes(whole)
    assert probe(film).audio
