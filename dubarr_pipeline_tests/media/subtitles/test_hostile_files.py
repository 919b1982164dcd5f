"""Damaged and hostile files: only errors that we know how to name come out of them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dubarr_pipeline.errors import DubbingError, NoScript
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container.extract import extract_audio
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline.media.container.streams import choose_audio
from dubarr_pipeline.media.subtitles.read import read_cues
from dubarr_pipeline.media.subtitles.sources import find_subtitles
from dubarr_pipeline_tests.fixtures.synthetic_media import Film, make_film, media_info, noise

MEDIA_SEEDS = range(36)
SUBTITLE_SEEDS = range(60)
SRT = (
    "1\n00:00:00,100 --> 00:00:00,300\n<i>Eins</i> {\\an8}zwei\n\n"
    "2\n00:00:00,300 --> 00:00:00,4\nÄ\n"
)
ASS = "[Script Info]\n[Events]\nFormat: Layer, Start, End, Style, Name, Text\nDialogue: 0,0:00:00.10,0:00:00.30,D,Ann,{\\p0}x\n"  # noqa: E501
VTT = "WEBVTT\n\n1\n00:00.100 --> 00:00.300 line:0\n<v Ann>Hi <00:00:00.200>you</v>\n\nNOTE x\n"


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("whole")
    (folder / "s.srt").write_text(SRT)
    sound = noise(2, 24_000)
    plain = make_film(folder / "plain.mkv", sound)
    with_text = folder / "text.mkv"
    ffmpeg.run(["-i", str(plain), "-i", str(folder / "s.srt"), "-c", "copy", str(with_text)])
    made = [with_text]
    for name, codec in (
        ("a.mp4", "aac"),
        ("a.avi", "libmp3lame"),
        ("a.ts", "ac3"),
        ("a.mov", "alac"),
    ):
        made.append(make_film(folder / name, sound, Film(codec=codec)))
    return made


def mutate(data: bytes, dice: random.Random) -> bytes:
    """Flip, overwrite, cut out, double or cut off: at most a handful of wounds."""
    wounded = bytearray(data)
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(wounded) + 1)
        size = min(dice.choice((1, 4, 64, 2000)), len(wounded) - at)
        wound = dice.choice(("flip", "noise", "zeros", "ones", "remove", "double", "cut"))
        if wound == "flip" and size:
            wounded[at] ^= 1 << dice.randrange(8)
        elif wound in ("noise", "zeros", "ones"):
            fill = {"noise": dice.randbytes(size), "zeros": bytes(size), "ones": b"\xff" * size}
            wounded[at : at + size] = fill[wound]
        elif wound == "remove":
            del wounded[at : at + size]
        elif wound == "double":
            wounded[at:at] = wounded[at : at + size]
        elif wound == "cut" and dice.random() < 0.3:
            del wounded[at:]
    return bytes(wounded)


@pytest.mark.parametrize("seed", MEDIA_SEEDS)
def test_damaged_media(whole_files: list[Path], tmp_path: Path, seed: int):
    dice = random.Random(seed)
    source = whole_files[seed % len(whole_files)]
    path = tmp_path / source.name
    path.write_bytes(mutate(source.read_bytes(), dice))
    refused = ""
    try:
        info = probe(path, timeout_s=20)
        found = extract_audio(info, choose_audio(info), tmp_path / "x.wav")
        assert found.samples > 0
        for subtitle in find_subtitles(info):
            read_cues(subtitle, info, found.rate, found.offset_s)
    except DubbingError as error:
        refused = str(error)
    assert not refused or source.name in refused


@pytest.mark.parametrize("seed", SUBTITLE_SEEDS)
def test_damaged_subtitles(tmp_path: Path, seed: int):
    dice = random.Random(seed)
    text, suffix = dice.choice(((SRT, "srt"), (ASS, "ass"), (VTT, "vtt")))
    encoding = dice.choice(("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "latin-1"))
    path = tmp_path / f"film.en.{suffix}"
    path.write_bytes(mutate((text * 20).encode(encoding), dice))
    info = media_info(path=tmp_path / "film.mkv")
    refused = ""
    try:
        cues = read_cues(find_subtitles(info)[0], info, 48_000, 0.0)
        assert all(cue.span.length > 0 and cue.text for cue in cues)
    except DubbingError as error:
        refused = str(error)
    assert not refused or path.name in refused


@pytest.mark.parametrize(
    "line",
    [
        "<" * 50000,
        "{" * 50000,
        "<v " * 20000,
        "00:" * 20000,
        " " * 200000,
        "-" * 200000,
        "<rt>" * 20000,
        "&" * 50000,
        "1 : " * 20000,
        "Dialogue:" * 10000,
        "{\\p1" * 20000,
    ],
)
@pytest.mark.timeout(20)
def test_long_lines_do_not_take_for_ever(tmp_path: Path, line: str):
    """Patterns that look for a closing bracket could try from every opening one."""
    for suffix in ("srt", "ass", "vtt"):
        path = tmp_path / f"film.en.{suffix}"
        path.write_text(f"[Events]\n{ASS}" * (suffix == "ass") + SRT + line + "\n" + SRT + line)
        info = media_info(path=tmp_path / "film.mkv")
        refused = ""
        try:
            assert read_cues(find_subtitles(info)[0], info, 48_000, 0.0)
        except NoScript as error:
            refused = str(error)
        assert not refused or "letters" in refused
        path.unlink()


def test_tools_have_a_memory_limit():
    asked = ["--as", "--raw", "--noheadings", "-o", "SOFT"]
    told = ffmpeg.run(asked, tool="prlimit").stdout
    assert int(told) == ffmpeg.MEMORY_LIMIT_BYTES


def test_a_picture_of_any_claimed_size_stays_in_its_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A film of a few kB whose header claims 30,000 x 30,000 points, decoded in 0.4 GB."""
    path = make_film(tmp_path / "a.mkv", noise(), Film(extra=("-c:v", "rawvideo")))
    for side in ("pixel-width", "pixel-height"):
        edits = [str(path), "-e", "track:v1", "-s", f"{side}=30000"]
        ffmpeg.run(edits, tool="mkvpropedit")
    monkeypatch.setattr(ffmpeg, "_guards", lambda: ("prlimit", "--as=400000000", "--"))
    with pytest.raises(DubbingError, match=r"ffmpeg failed|allocate"):
        ffmpeg.run(["-i", str(path), "-vf", "scale=30000:30000", "-f", "null", "-"])
    info = probe(path)
    assert extract_audio(info, choose_audio(info), tmp_path / "x.wav").samples == 12_000


def test_a_playlist_in_a_videos_clothes_reads_no_other_file(tmp_path: Path):
    """HLS lists and ffconcat scripts name other files, local or on the network."""
    secret = make_film(tmp_path / "secret.mkv", noise())
    for name, text in (
        ("a.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n"),
        ("b.mkv", f"ffconcat version 1.0\nfile '{secret}'\n"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(DubbingError, match=r"not a video"):
            probe(tmp_path / name)
