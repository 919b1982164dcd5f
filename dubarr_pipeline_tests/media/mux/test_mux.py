"""Odd films go through the mux; what comes out is measured by other means than its own proof."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dubarr_pipeline.errors import MediaToolError, SettingsError, VerificationError
from dubarr_pipeline.media.audio.wav import WaveFile, write_wave
from dubarr_pipeline.media.container.extract import extract_audio
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline.media.mux import mux as mux_module
from dubarr_pipeline.media.mux.mux import DubSubtitle, DubTrack, MuxOptions, mux
from dubarr_pipeline_tests.fixtures.odd_sources import (
    ODD,
    dub,
    ffmpeg,
    mkvtool,
    odd_film,
    subrip,
)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made: dict[str, Path] = {}

    class Films(dict[str, Path]):
        def __missing__(self, name: str) -> Path:
            self[name] = odd_film(name, tmp_path_factory)
            return self[name]

    return Films(made)


def tracks_of(path: Path) -> list[dict[str, Any]]:
    document = json.loads(mkvtool("mkvmerge", "--output-charset", "UTF-8", "-J", path))
    return [track["properties"] for track in document["tracks"]]


def stream_digests(path: Path, streams: list[int]) -> list[str]:
    """MD5 of all packets of each stream, by ffmpeg's other hash muxer."""
    maps = [part for s in streams for part in ("-map", f"0:{s}")]
    printed = ffmpeg("-i", path, *maps, "-c", "copy", "-f", "streamhash", "-hash", "md5", "-")
    return re.findall(r"MD5=(\w+)", printed.decode())


@pytest.mark.parametrize("name", ODD)
def test_every_stream_of_every_odd_film_arrives_bit_for_bit(
    films: dict[str, Path], name: str, tmp_path: Path
) -> None:
    source, result = films[name], tmp_path / "out.mkv"
    before = hashlib.sha256(source.read_bytes()).digest()
    seen: list[tuple[float, float]] = []

    report = mux(
        source,
        [DubTrack(dub(tmp_path), "es", offset_s=0.25)],
        [DubSubtitle(subrip(tmp_path), "es")],
        result,
        on_progress=lambda done, total: seen.append((done, total)),
    )

    assert hashlib.sha256(source.read_bytes()).digest() == before
    named = {row.source_index for row in report.streams} | {
        c.source_index for c in report.converted
    }
    attachments = {s.index for s in probe(source).streams if s.kind == "attachment"}
    assert named - {None} | attachments == {s.index for s in probe(source).streams}
    assert all(abs(row.offset_us) <= 1000 and row.packets > 0 for row in report.streams)
    copied = [r for r in report.streams if r.proof == "packets" and r.source_index is not None]
    assert copied
    # The tracks keep their order; a still lies behind them.
    digests = stream_digests(source, [r.source_index or 0 for r in copied])
    arrived = stream_digests(result, [r.result_index for r in copied])
    # The sound of a cut film begins before what its edit list plays: that stays behind.
    compared = 1 if name == "cut" else len(digests)
    assert digests[:compared] == arrived[:compared]
    assert seen[-1][0] == seen[-1][1] > 0
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", ["two_programs", "disc", "avi"])
def test_reframed_streams_decode_to_the_same_pictures_and_sound(
    films: dict[str, Path], name: str, tmp_path: Path
) -> None:
    result = tmp_path / "out.mkv"
    report = mux(films[name], [DubTrack(dub(tmp_path), "es")], [], result)
    maps = [part for r in report.streams[:3] for part in ("-map", f"0:{r.source_index}")]
    decoded = [
        "-fflags",
        "+genpts",
        "-c:v",
        "rawvideo",
        "-c:a",
        "pcm_s32le",
        "-f",
        "streamhash",
        "-",
    ]
    assert ffmpeg("-i", films[name], *maps, *decoded) == ffmpeg("-i", result, *maps, *decoded)


def test_matroska_keeps_what_ffmpeg_loses(films: dict[str, Path], tmp_path: Path) -> None:
    source, result = tmp_path / "rich.mkv", tmp_path / "out.mkv"
    shutil.copy(films["matroska"], source)
    _write_rich_headers(source, tmp_path)
    mux(source, [DubTrack(dub(tmp_path), "es")], [], result)
    own = tracks_of(source)
    kept = ("uid", "language", "language_ietf", "default_duration", "audio_bits_per_sample")
    kept += ("enabled_track", "forced_track", "default_track", "flag_hearing_impaired")
    for old, new in zip(own, tracks_of(result), strict=False):
        assert {k: old.get(k) for k in kept} == {k: new.get(k) for k in kept}
    assert [t["language_ietf"] for t in own[1:3]] == ["pt-BR", "es-419"]
    assert not own[2]["enabled_track"]
    for part, wanted in (("chapters", "EditionFlagHidden"), ("tags", "SORT_WITH")):
        old, new = (_extracted(path, part) for path in (source, result))
        assert wanted in "".join(old)
        assert new[: len(old)] == old if part == "chapters" else set(old) <= set(new)
    old, new = (
        json.loads(mkvtool("mkvmerge", "-J", path))["attachments"] for path in (source, result)
    )
    assert old == new
    assert {a["description"] for a in new} == {"", "Fröntcover"}


_XML = '<?xml version="1.0"?>\n'


def _write_rich_headers(path: Path, folder: Path) -> None:
    chapters, tags = folder / "chapters.xml", folder / "tags.xml"
    atom = (
        "<ChapterAtom><ChapterTimeStart>00:00:0{}.5</ChapterTimeStart><ChapterDisplay><ChapterString>"
        "{}</ChapterString><ChapterLanguage>ger</ChapterLanguage></ChapterDisplay></ChapterAtom>"
    )
    shown = f"<EditionEntry><EditionUID>77</EditionUID>{atom.format(0, 'Eins')}</EditionEntry>"
    hidden = f"<EditionFlagHidden>1</EditionFlagHidden>{atom.format(1, 'Zwei')}"
    chapters.write_text(f"{_XML}<Chapters>{shown}<EditionEntry>{hidden}</EditionEntry></Chapters>")
    tags.write_text(
        f"{_XML}<Tags><Tag><Targets><TargetTypeValue>70</TargetTypeValue></Targets><Simple><Name>TITLE"
        "</Name><String>Saga</String><Simple><Name>SORT_WITH</Name><String>S</String></Simple>"
        "</Simple></Tag></Tags>"
    )
    edits = ["--edit", "track:2", "--set", "language=pt-BR"]
    edits += ["--edit", "track:3", "--set", "language=es-419", "--set", "flag-enabled=0"]
    edits += ["--edit", "track:13", "--set", "flag-hearing-impaired=1"]
    edits += ["--chapters", str(chapters), "--tags", f"global:{tags}"]
    mkvtool("mkvpropedit", "-q", path, *edits)


def _extracted(path: Path, part: str) -> list[str]:
    lines = mkvtool("mkvextract", path, part, "-").decode("utf-8-sig").splitlines()
    return [x for line in lines if (x := line.strip()) and "LanguageIETF" not in x]


def test_a_mux_asks_each_tool_once(
    films: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    class Recorded(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **options: Any) -> None:
            known = ("ffmpeg", "ffprobe", "mkvmerge", "mkvextract", "mkvpropedit")
            started.extend(Path(word).name for word in command if Path(word).name in known)
            super().__init__(command, **options)

    mux(films["odd_units"], [DubTrack(dub(tmp_path), "es")], [], tmp_path / "first.mkv")
    sound = tmp_path / "new.ac3"
    shutil.copy(dub(tmp_path), sound)
    monkeypatch.setattr(subprocess, "Popen", Recorded)
    mux(films["odd_units"], [DubTrack(sound, "es")], [], tmp_path / "out.mkv")
    # The result is looked at, the film and its new track no more; it is copied, and read back; tags
    # extracted; one edit.
    assert sorted(started) == ["ffmpeg", "ffmpeg", "ffprobe", "mkvextract", "mkvpropedit"]


def test_new_tracks_carry_both_languages_a_title_and_no_default_flag(
    films: dict[str, Path], tmp_path: Path
) -> None:
    result, sound = tmp_path / "out.mkv", dub(tmp_path)
    tracks = [DubTrack(sound, "es"), DubTrack(sound, "pt-br"), DubTrack(sound, "de", "Mit Musik")]
    tracks.append(DubTrack(sound, "yue"))
    mux(films["odd_units"], tracks, [DubSubtitle(subrip(tmp_path), "fr")], result)
    found = tracks_of(result)[2:]
    assert [t["language"] for t in found] == ["spa", "por", "ger", "chi", "fre"]
    assert [t["language_ietf"] for t in found] == ["es", "pt-BR", "de", "yue", "fr"]
    titles = [
        "Español · dub",
        "Português (Brasil) · dub",
        "Mit Musik",
        "粵語 · dub",
        "Français · dub",
    ]
    assert [t["track_name"] for t in found] == titles
    assert not any(t["default_track"] for t in found)
    assert all(t["tag_dubarr"].startswith("machine-made dub") for t in found)
    originals = [bool(t.get("flag_original")) for t in tracks_of(result)]
    assert originals == [False, True, *[False] * 5]
    # Players that do not seek must meet the tracks before the film.
    order = [line for line in mkvtool("mkvinfo", result).decode().splitlines() if line[:2] == "|+"]
    assert order.index("|+ Tracks") < next(n for n, x in enumerate(order) if "Cluster" in x)


@pytest.mark.parametrize(
    ("policy", "wish", "original", "dubs"),
    [
        ("keep", False, True, [False, False]),
        ("keep", True, False, [False, True]),
        ("dub", False, False, [True, False]),
    ],
)
def test_default_policy(
    films: dict[str, Path],
    tmp_path: Path,
    policy: Any,
    wish: bool,
    original: bool,
    dubs: list[bool],
) -> None:
    sound, result = dub(tmp_path), tmp_path / "out.mkv"
    tracks = [DubTrack(sound, "es"), DubTrack(sound, "ca", default=wish)]
    mux(films["uneven"], tracks, [], result, MuxOptions(default_policy=policy))
    assert [t["default_track"] for t in tracks_of(result)][1:] == [original, *dubs]


def test_a_second_run_keeps_our_tracks_and_replaces_them_only_when_asked(
    films: dict[str, Path], tmp_path: Path
) -> None:
    sound, once = dub(tmp_path), tmp_path / "once.mkv"
    mux(films["odd_units"], [DubTrack(sound, "es")], [], once)
    kept = mux(once, [DubTrack(sound, "ca")], [], tmp_path / "kept.mkv")
    assert [t["language_ietf"] for t in tracks_of(tmp_path / "kept.mkv")[2:]] == ["es", "ca"]
    assert kept.converted == ()
    options = MuxOptions(replace_own=True)
    replaced = mux(once, [DubTrack(sound, "ca")], [], tmp_path / "replaced.mkv", options)
    assert [t["language_ietf"] for t in tracks_of(tmp_path / "replaced.mkv")[2:]] == ["ca"]
    assert [(c.source_index, "earlier run" in c.outcome) for c in replaced.converted] == [(2, True)]


def test_the_dub_takes_the_place_of_the_sound_that_was_dubbed(
    films: dict[str, Path], tmp_path: Path
) -> None:
    two, sound = tmp_path / "two.mkv", dub(tmp_path)
    mux(films["odd_units"], [DubTrack(sound, "fr")], [], two)
    result = tmp_path / "out.mkv"
    options = MuxOptions(original_audio="replace", original_stream=1)
    report = mux(two, [DubTrack(sound, "es"), DubTrack(sound, "ca")], [], result, options)
    found = tracks_of(result)
    assert [t["language_ietf"] for t in found[1:]] == ["fr", "es", "ca"]
    # No other sound was the default: players take the first new one.
    assert [t["default_track"] for t in found[1:]] == [False, True, False]
    assert [row.source_index for row in report.streams] == [0, 2, None, None]
    assert all(row.proof for row in report.streams)
    assert [(c.source_index, c.outcome) for c in report.converted] == [
        (1, "left out: the dubbed tracks take its place")
    ]
    assert stream_digests(result, [0, 1]) == stream_digests(two, [0, 2])


def test_a_film_that_is_not_touched_keeps_its_sound() -> None:
    with pytest.raises(ValueError, match="needs container 'mkv'"):
        MuxOptions(original_audio="replace", container="mka")


def test_a_sidecar_holds_the_new_tracks_alone_at_their_place(
    films: dict[str, Path], tmp_path: Path
) -> None:
    source = films["matroska"]
    result = tmp_path / "every codec.es.mka"
    tracks = [DubTrack(dub(tmp_path), "es", offset_s=0.4)]
    report = mux(source, tracks, [], result, MuxOptions(container="mka"))
    assert [(row.kind, row.packets > 0) for row in report.streams] == [("audio", True)]
    assert probe(result).audio[0].start_s == pytest.approx(0.4, abs=1e-3)
    with pytest.raises(SettingsError, match="none was given"):
        mux(source, [], [], result, MuxOptions(container="mka"))


def impulse_s(path: Path, number: int, scratch: Path) -> float:
    """When the loudest sample of a sound sounds on the playback clock."""
    info = probe(path)
    heard = extract_audio(info, info.audio[number], scratch)
    with WaveFile(scratch) as wave:
        loudest = int(np.abs(wave.read(0, wave.samples)[0]).argmax())
    return heard.offset_s + loudest / heard.rate


@pytest.mark.parametrize(
    ("name", "codec", "track", "late_s"),
    [
        ("film.mkv", "aac", "dub.opus", 1.234),
        ("film.mp4", "aac", "dub.ac3", 0.0),
        ("film.ts", "ac3", "dub.flac", 1.234),
        ("film.mp4", "aac", "dub.eac3", 1.234),
        ("film.webm", "libopus", "dub.ac3", 0.0),
    ],
)
def test_the_dub_sounds_within_a_millisecond_of_the_original(
    tmp_path: Path, name: str, codec: str, track: str, late_s: float
) -> None:
    click = np.zeros(48_000, np.float32)
    click[24_000] = 0.9
    write_wave(tmp_path / "click.wav", click, 48_000)
    source, result, sound = tmp_path / name, tmp_path / "out.mkv", tmp_path / track
    picture = ["-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=2.5", "-itsoffset", str(late_s)]
    encoder = ["-c:v", "libvpx", "-deadline", "realtime"] if name.endswith("webm") else []
    encoder = encoder or ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2"]
    ffmpeg(*picture, "-i", tmp_path / "click.wav", *encoder, "-c:a", codec, source)
    info = probe(source)
    heard = extract_audio(info, info.audio[0], tmp_path / "heard.wav")
    ffmpeg("-i", tmp_path / "heard.wav", sound)
    delay_s = impulse_s(sound, 0, tmp_path / "s.wav") - (
        impulse_s(source, 0, tmp_path / "s.wav") - heard.offset_s
    )

    mux(source, [DubTrack(sound, "es", offset_s=heard.offset_s)], [], result)

    original, dubbed = (impulse_s(result, n, tmp_path / "s.wav") for n in (0, 1))
    # The encoder's own delay is the mix's to undo; the mux adds at most Matroska's rounding.
    assert abs(dubbed - delay_s - original) <= 1.001e-3


@pytest.mark.parametrize(
    "name",
    ["-dash\nline 😀.mkv", "@per%cent: 'q\" .mkv", "é" * 120 + ".mkv"],
)
def test_odd_names_in_the_c_locale(
    films: dict[str, Path], tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    source = tmp_path / name
    shutil.copy(films["hdr"], source)
    sound = tmp_path / "dub %d:\n'é.ac3"
    shutil.copy(dub(tmp_path), sound)
    result = tmp_path / "out ü" / "final_muxed.mkv"
    assert len(mux(source, [DubTrack(sound, "es")], [], result).streams) == 4
    monkeypatch.delenv("LC_ALL")
    assert tracks_of(result)[-1]["track_name"] == "Español · dub"


def test_names_that_are_no_utf8(films: dict[str, Path], tmp_path: Path) -> None:
    source = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.mkv"))
    shutil.copy(films["hdr"], source)
    assert mux(source, [DubTrack(dub(tmp_path), "es")], [], tmp_path / "out.mkv").streams


def _damaging(monkeypatch: pytest.MonkeyPatch, damage: Any) -> None:
    """Let something happen to the file between its writing and its proof."""
    finish = mux_module.finish_headers

    def finish_and_damage(wanted: Any, result: Any) -> Any:
        origins = finish(wanted, result)
        damage((result.folder / "result.mkv").resolve())
        return origins

    monkeypatch.setattr(mux_module, "finish_headers", finish_and_damage)


def _flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_flip_a_byte, "stream 0 .video, h264.* differs .* packet"),
        (lambda p: mkvtool("mkvpropedit", p, "-e", "track:3", "-s", "flag-default=1"), "default"),
        (lambda p: mkvtool("mkvpropedit", p, "-e", "track:3", "-s", "language=fr"), "language"),
        (lambda p: mkvtool("mkvpropedit", p, "-e", "track:2", "-s", "flag-forced=1"), "flags are"),
    ],
)
def test_a_wrong_result_is_refused_by_name_and_the_old_one_stays(
    films: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: Any,
    message: str,
) -> None:
    result = tmp_path / "out.mkv"
    result.write_bytes(b"the old one")
    _damaging(monkeypatch, damage)
    with pytest.raises(VerificationError, match=message):
        mux(films["odd_units"], [DubTrack(dub(tmp_path), "es")], [], result)
    assert result.read_bytes() == b"the old one"
    assert {p.name for p in tmp_path.iterdir()} == {"out.mkv", "dub.ac3"}


def test_lost_chapters_and_attachments_are_noticed(
    films: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracks, result = [DubTrack(dub(tmp_path), "es")], tmp_path / "out.mkv"
    with monkeypatch.context() as context:
        _damaging(context, lambda p: mkvtool("mkvpropedit", p, "--chapters", ""))
        with pytest.raises(VerificationError, match="2 chapters, 0"):
            mux(films["matroska"], tracks, [], result)
    _damaging(
        monkeypatch,
        lambda p: mkvtool("mkvpropedit", p, "--delete-attachment", "name:Odd ' name: ü.ttf"),
    )
    with pytest.raises(VerificationError, match="attachments differ"):
        mux(films["matroska"], tracks, [], result)


def test_refusals_name_the_choices(films: dict[str, Path], tmp_path: Path) -> None:
    result, text = tmp_path / "out.mkv", subrip(tmp_path)
    with pytest.raises(SettingsError, match=r"stream 9 is no sound.*stream 1 .audio, flac"):
        mux(films["odd_units"], [], [], result, MuxOptions(original_stream=9))
    with pytest.raises(MediaToolError, match="holds no audio stream"):
        mux(films["odd_units"], [DubTrack(text, "es")], [], result)
    assert not result.exists()


def test_the_subtitles_of_the_dub_can_be_left_away(films: dict[str, Path], tmp_path: Path) -> None:
    options = MuxOptions(subtitles=False)
    text = [DubSubtitle(subrip(tmp_path), "es")]
    report = mux(
        films["odd_units"], [DubTrack(dub(tmp_path), "es")], text, tmp_path / "o.mkv", options
    )
    assert [row.kind for row in report.streams] == ["video", "audio", "audio"]


def test_opus_is_not_moved_by_its_delay_again_and_again(
    films: dict[str, Path], tmp_path: Path
) -> None:
    """ffmpeg 5.1 starts Opus 6.5 ms earlier with every copy into Matroska."""
    first, second = tmp_path / "1.mkv", tmp_path / "2.mkv"
    sound = [DubTrack(dub(tmp_path), "es")]
    mux(films["webm"], sound, [], first)
    mux(first, sound, [], second, MuxOptions(replace_own=True))
    starts = [[s.start_s for s in probe(path).streams[:2]] for path in (first, second)]
    (picture, opus), (picture_again, opus_again) = starts
    assert (opus_again - picture_again) == pytest.approx(opus - picture, abs=1e-4)


def test_mp4_text_becomes_subrip_with_the_same_words(
    films: dict[str, Path], tmp_path: Path
) -> None:
    source, result = films["mp4"], tmp_path / "out.mkv"
    report = mux(source, [], [], result)
    row = next(r for r in report.streams if r.kind == "subtitle")
    assert (row.codec, row.proof, row.packets) == ("mov_text", "text", 2)
    written = ffmpeg("-i", result, "-map", "0:s:0", "-f", "srt", "-").decode()
    assert "Hello</i> & wörld" in written
    assert re.search(r"Two\r?\nlines", written)


def test_titles_of_mp4_become_names_in_matroska(films: dict[str, Path], tmp_path: Path) -> None:
    bare, titled, result = films["mp4"], tmp_path / "titled.mp4", tmp_path / "out.mkv"
    titles = ["Director’s Commentary", "Kino · 5.1"]
    named = [
        "-metadata:s:a:0",
        f"title={titles[0]}",
        "-metadata:s:a:1",
        f"handler_name={titles[1]}",
    ]
    ffmpeg("-i", bare, "-map", "0:v:0", "-map", "0:a", "-c", "copy", *named, titled)
    mux(titled, [DubTrack(dub(tmp_path), "es")], [], result)
    names = [track.get("track_name") for track in tracks_of(result)]
    assert names == [None, *titles, "Español · dub"]


def test_tags_of_several_lines_arrive_whatever_ends_their_lines(
    films: dict[str, Path], tmp_path: Path
) -> None:
    bare, told, result = films["mp4"], tmp_path / "told.mkv", tmp_path / "out.mkv"
    comment = ["-metadata:s:a:0", "comment=One\r\nTwo"]
    ffmpeg("-i", bare, "-map", "0:v:0", "-map", "0:a", "-c", "copy", *comment, told)
    mux(told, [DubTrack(dub(tmp_path), "es")], [], result)
    assert probe(result).audio[0].tags["comment"].splitlines() == ["One", "Two"]


def test_unit_framing_is_not_what_mkvmerge_would_make_of_it(
    films: dict[str, Path], tmp_path: Path
) -> None:
    """Why ffmpeg does the copying: mkvmerge drops delimiters and filler from H.264."""
    source, other = films["odd_units"], tmp_path / "other.mkv"
    mkvtool("mkvmerge", "-q", "-o", other, source)
    assert stream_digests(source, [0]) != stream_digests(other, [0])
