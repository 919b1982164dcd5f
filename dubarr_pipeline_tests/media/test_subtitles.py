"""Which subtitle is the script, and its cues on the audio clock."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.errors import NoScript
from dubarr_pipeline.media import ffmpeg
from dubarr_pipeline.media.probe import probe
from dubarr_pipeline.media.subtitles import (
    choose_script,
    existing_translation,
    find_subtitles,
    read_cues,
    write_srt,
)
from dubarr_pipeline.timeline.script import Cue
from dubarr_pipeline.timeline.spans import Span
from dubarr_pipeline_tests.media.synthetic import (
    Film,
    make_film,
    media_info,
    noise,
    subtitle_stream,
)

SRT = (
    "1\n00:00:01,000 --> 00:00:02,500\n<i>Hello</i>\n\n"
    "2\n00:00:03,000 --> 00:00:04,000\n- You?\n- Me.\n\n"
)


def beside(tmp_path: Path, *names: str, video: str = "Film.2020.mkv"):
    """A video that exists by name only, with these files beside it."""
    (tmp_path / video).touch()
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(SRT)
    return media_info(path=tmp_path / video)


@pytest.mark.parametrize(
    ("name", "language", "kind"),
    [
        ("Film.2020.srt", None, "full"),
        ("Film.2020.en.srt", "en", "full"),
        ("Film.2020.eng.srt", "en", "full"),
        ("Film.2020.English.srt", "en", "full"),
        ("Film.2020.pt-BR.srt", "pt-BR", "full"),
        ("Film.2020.pt-br.SRT", "pt-BR", "full"),
        ("Film.2020.zh-Hant.ass", "zh-Hant", "full"),
        ("Film.2020.en.sdh.srt", "en", "sdh"),
        ("Film.2020.en.hi.srt", "en", "sdh"),
        ("Film.2020.en.cc.vtt", "en", "sdh"),
        ("Film.2020.sdh.en.srt", "en", "sdh"),
        ("Film.2020.hi.srt", "hi", "full"),
        ("Film.2020.en.forced.srt", "en", "forced"),
        ("Film.2020.forced.en.ssa", "en", "forced"),
        ("Film.2020.en.foreign.srt", "en", "forced"),
        ("Film.2020.default.en.srt", "en", "full"),
        ("Film.2020.approx.en.srt", "en", "full"),
        ("Film.2020.Director's Commentary.en.srt", "en", "full"),
        ("Film.2020.commentary.en.srt", "en", "commentary"),
        ("Subs/Film.2020.es.srt", "es", "full"),
        ("subtitles/Film.2020.es.srt", "es", "full"),
        ("Subs/2_English.srt", "en", "full"),
        ("Subs/3_English_SDH.srt", "en", "sdh"),
        ("Subs/Film.2020/4_Spanish.srt", "es", "full"),
    ],
)
def test_names_of_sidecars(tmp_path: Path, name: str, language: str | None, kind: str):
    (found,) = find_subtitles(beside(tmp_path, name))
    assert (found.language, found.kind, found.origin, found.problem) == (
        language,
        kind,
        "sidecar",
        None,
    )
    assert found.path == tmp_path / name


@pytest.mark.parametrize(
    "name",
    [
        "Other.en.srt",
        "Film.2021.en.srt",
        "Film.2020x.srt",
        "Film.srt",
        "Film.2020.en.txt",
        "Subs/sub/Film.2020.en.srt",
        "Film.2020.en.srt.bak",
        "Extras/Film.2020.en.srt",
    ],
)
def test_what_is_not_this_videos(tmp_path: Path, name: str):
    assert find_subtitles(beside(tmp_path, name)) == []


def test_another_video_with_a_longer_name_keeps_its_own(tmp_path: Path):
    info = beside(tmp_path, "Film.2020.en.srt", "Film.2020.Part2.en.srt", "Subs/2_English.srt")
    (tmp_path / "Film.2020.Part2.mp4").touch()
    assert [s.path.name for s in find_subtitles(info)] == ["Film.2020.en.srt"]


@pytest.mark.parametrize(
    "stem", ["-i", "100%d", "a:b", "new\nline", "it's [1080p]*?", "ü😀", "x" * 240, "Cafe\u0301"]
)
def test_odd_names_of_videos(tmp_path: Path, stem: str):
    info = beside(tmp_path, f"{stem}.en.srt", video=f"{stem}.mkv")
    (source,) = find_subtitles(info)
    assert len(read_cues(source, info, 1000, 0.0)) == 2


def test_names_that_are_no_text_and_accents_of_other_systems(tmp_path: Path):
    odd = os.fsdecode(b"caf\xe9")
    assert len(find_subtitles(beside(tmp_path, f"{odd}.en.srt", video=f"{odd}.mkv"))) == 1
    assert len(find_subtitles(beside(tmp_path, "Caf\u00e9.en.srt", video="Cafe\u0301.mkv"))) == 1


def test_files_that_are_no_text_are_listed_with_the_reason(tmp_path: Path):
    info = beside(tmp_path, "Film.2020.en.idx", "Film.2020.en.sub", "Film.2020.en.sup")
    assert [s.problem is not None for s in find_subtitles(info, "en")] == [True] * 3
    with pytest.raises(NoScript, match=r"Film\.2020\.en\.sup .*convert to SRT"):
        choose_script(info, "en")


STREAMS = [
    subtitle_stream(2, "en", flags=("forced",)),
    subtitle_stream(3, "en", "hdmv_pgs_subtitle"),
    subtitle_stream(4, "en"),
    subtitle_stream(5, "en", title="English (SDH)"),
    subtitle_stream(6, "en", title="Commentary"),
    subtitle_stream(7, "es", "ass", title="Signs & Songs"),
    subtitle_stream(8, "es", "mov_text"),
    subtitle_stream(9, None, "webvtt"),
    subtitle_stream(10, "es", flags=("hearing_impaired",)),
    subtitle_stream(11, "pt-PT"),
    subtitle_stream(12, "pt-BR"),
    subtitle_stream(13, "de", "dvb_teletext"),
]


@pytest.mark.parametrize(
    ("language", "index"),
    [("en", 5), ("es", 10), ("fr", 9), ("pt", 11), ("pt-BR", 12), ("de", 9)],
)
def test_the_script_among_the_embedded(language: str, index: int):
    assert choose_script(media_info(*STREAMS), language).index == index


@pytest.mark.parametrize(
    ("target", "index"),
    [("en", 4), ("es", 8), ("pt-BR", 12), ("pt-PT", 11), ("pt", 11), ("de", None), ("fr", None)],
)
def test_an_existing_translation(target: str, index: int | None):
    found = existing_translation(media_info(*STREAMS), target)
    assert (found.index if found else None) == index


def test_sidecars_go_before_embedded_ones(tmp_path: Path):
    info = beside(tmp_path, "Film.2020.en.srt", "Film.2020.es.srt")
    mixed = media_info(*STREAMS, path=info.path)
    assert choose_script(mixed, "en").origin == "sidecar"
    translation = existing_translation(mixed, "es")
    assert translation
    assert translation.origin == "sidecar"
    assert existing_translation(mixed, "fr") is None


def test_forced_alone_is_no_script(tmp_path: Path):
    info = beside(tmp_path, "Film.2020.en.forced.srt")
    for language in ("en", None):
        with pytest.raises(
            NoScript, match=r"Film\.2020\.en\.forced\.srt .*Put Film\.2020\.en\.srt"
        ):
            choose_script(info, language)
    assert existing_translation(info, "en") is None


def test_a_sparse_stream_carries_foreign_parts_only():
    few = subtitle_stream(2, "en", flags=("default",), tags={"number_of_frames": "31"})
    many = subtitle_stream(3, "en", tags={"number_of_frames-eng": "900"})
    assert choose_script(media_info(few, many), "en").index == 3
    kinds = {s.index: s.kind for s in find_subtitles(media_info(few, many))}
    assert kinds == {2: "forced", 3: "full"}


def test_nothing_at_all_says_what_to_do():
    with pytest.raises(NoScript, match=r"Found: none at all\. Put film\.en\.srt beside it"):
        choose_script(media_info(), "en")


def test_an_unknown_language_must_be_clear():
    english, spanish = subtitle_stream(2, "en"), subtitle_stream(3, "es")
    default = subtitle_stream(4, "es", flags=("default",))
    assert choose_script(media_info(english)).index == 2
    assert choose_script(media_info(subtitle_stream(5, None), english)).index in (2, 5)
    assert choose_script(media_info(english, default)).index == 4
    with pytest.raises(NoScript, match="several languages"):
        choose_script(media_info(english, spanish))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film with a text subtitle of each kind inside; its clock starts at zero."""
    folder = tmp_path_factory.mktemp("film")
    plain = make_film(folder / "plain.mkv", noise(1, 48_000 * 5), Film(codec="pcm_s16le"))
    (folder / "s.srt").write_text(SRT)
    (folder / "v.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.500\n<v Ann>Hello</v>\n")
    ass = ffmpeg.run(["-i", str(folder / "s.srt"), "-f", "ass", "pipe:1"]).stdout
    (folder / "a.ass").write_bytes(ass)
    inputs = [str(plain), *(str(folder / n) for n in ("s.srt", "v.vtt", "a.ass"))]
    maps = [o for i in range(4) for o in ("-map", str(i))]
    path = folder / "film.mkv"
    ffmpeg.run([*(o for i in inputs for o in ("-i", i)), *maps, "-c", "copy", str(path)])
    return path


def test_embedded_text_of_every_kind(film: Path):
    info = probe(film)
    found = {s.form: read_cues(s, info, 48_000, 0.0) for s in find_subtitles(info)}
    hello = Cue(Span(48_000, 120_000), "Hello")
    both = (hello, Cue(Span(144_000, 192_000), "- You?\n- Me."))
    assert found == {"srt": both, "ass": both, "vtt": (Cue(hello.span, "ANN: Hello"),)}


def test_embedded_text_of_mp4(film: Path, tmp_path: Path):
    path = tmp_path / "a.mp4"
    ffmpeg.run(
        [
            "-i",
            str(film),
            "-map",
            "0:v",
            "-map",
            "0:a",
            "-map",
            "0:2",
            "-c:v",
            "copy",
            "-c:a",
            "aac",
            "-c:s",
            "mov_text",
            str(path),
        ]
    )
    info = probe(path)
    (source,) = find_subtitles(info)
    cues = read_cues(source, info, 1000, 0.0)
    assert [(c.span.start, c.span.end, c.text) for c in cues] == [
        (1000, 2500, "Hello"),
        (3000, 4000, "- You?\n- Me."),
    ]


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_the_clock_is_the_sounds_not_the_containers(film: Path, tmp_path: Path, suffix: str):
    """A container may start anywhere; what counts is where the cue lies against the sound."""
    path = tmp_path / f"late.{suffix}"
    start = ["-output_ts_offset", "10"] if suffix == "mkv" else []
    ffmpeg.run(
        ["-i", str(film), "-itsoffset", "0.5", "-i", str(film), "-map", "0:v", "-map", "1:a"]
        + (["-map", "0:2", "-c", "copy"] if suffix == "mkv" else ["-c:a", "mp2"])
        + [*start, str(path)]
    )
    (tmp_path / "late.en.srt").write_text(SRT)
    info = probe(path)
    assert info.start_s > 1
    for source in find_subtitles(info):
        first = read_cues(source, info, 48_000, 0.5)[0]
        assert first.span.start == pytest.approx(24_000, abs=48)
        assert first.span.length == pytest.approx(72_000, abs=48)


def test_cues_before_the_sound_are_cut_there(tmp_path: Path):
    info = beside(tmp_path, "Film.2020.en.srt")
    (source,) = find_subtitles(info)
    assert [c.span for c in read_cues(source, info, 1000, 2.0)] == [
        Span(0, 500),
        Span(1000, 2000),
    ]
    assert [c.span for c in read_cues(source, info, 1000, 2.5)] == [Span(500, 1500)]
    assert read_cues(source, info, 1000, -0.25)[0].span == Span(1250, 2750)


@pytest.mark.parametrize(("rate", "start"), [(44_100, 44_144), (48_000, 48_048), (8000, 8008)])
def test_times_are_whole_samples(tmp_path: Path, rate: int, start: int):
    info = beside(tmp_path, "Film.2020.en.srt")
    (tmp_path / "Film.2020.en.srt").write_text("1\n00:00:01,001 --> 00:00:02,000\nx\n")
    (source,) = find_subtitles(info)
    assert read_cues(source, info, rate, 0.0)[0].span == Span(start, 2 * rate)


@pytest.mark.parametrize(
    "content", [b"", b"no times at all", bytes(1000), b"\xff\xfe", b"\x89PNG\r\n"]
)
def test_what_holds_no_cue_is_named(tmp_path: Path, content: bytes):
    info = beside(tmp_path, "Film.2020.en.srt")
    (tmp_path / "Film.2020.en.srt").write_bytes(content)
    with pytest.raises(NoScript, match=r"Film\.2020\.en\.srt .*holds no cue"):
        read_cues(find_subtitles(info)[0], info, 1000, 0.0)


def test_what_cannot_be_read_is_named(tmp_path: Path):
    info = beside(tmp_path, "Film.2020.en.srt", "Film.2020.en.sup")
    good, bad = find_subtitles(info)
    with pytest.raises(NoScript, match="convert to SRT"):
        read_cues(bad, info, 1000, 0.0)
    good.path.unlink()
    with pytest.raises(NoScript, match="cannot be read"):
        read_cues(good, info, 1000, 0.0)
    good.path.touch()
    os.truncate(good.path, 60 << 20)
    with pytest.raises(NoScript, match="too large"):
        read_cues(good, info, 1000, 0.0)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**7), st.integers(2, 10**5), st.text("ab é♪-\n><&", max_size=20)
        ),
        max_size=8,
    )
)
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, found):
    folder = tmp_path_factory.mktemp("round")
    cues = sorted(
        {Cue(Span(s, s + length), f"x{text}".strip()) for s, length, text in found},
        key=lambda c: (c.span.start, c.span.end),
    )
    info = beside(folder, "Film.2020.en.srt")
    write_srt(folder / "Film.2020.en.srt", cues, 1000)
    if not cues:
        return
    again = read_cues(find_subtitles(info)[0], info, 1000, 0.0)
    assert {c.span for c in again} == {c.span for c in cues}
    assert all("-->" not in c.text for c in again)


def test_srt_as_players_want_it(tmp_path: Path):
    cues = [
        Cue(Span(0, 1), "¡Sí!\n\n\n-- no --> yes"),
        Cue(Span(5, 6), "  "),
        Cue(Span(48_000 * 3600, 48_000 * 3661), "♪"),
    ]
    write_srt(tmp_path / "a.srt", cues, 48_000)
    assert (tmp_path / "a.srt").read_bytes().decode() == (
        "1\n00:00:00,000 --> 00:00:00,000\n¡Sí!\n-- no → yes\n\n"
        "2\n01:00:00,000 --> 01:01:01,000\n♪\n"
    )


def test_the_shared_videos(shared_media: Path):
    for path in (shared_media / "video").glob("*.mp4"):
        info = probe(path)
        source = choose_script(info, "en")
        cues = read_cues(source, info, 44_100, 0.0)
        assert len(cues) in (3, 4)
        assert all(c.span.end <= info.duration_s * 44_100 for c in cues)
        assert existing_translation(info, "es") is None


@pytest.mark.parametrize("language", ["en", "de", "es"])
def test_the_shared_webvtt(shared_media: Path, tmp_path: Path, language: str):
    info = beside(tmp_path, f"Film.2020.{language}.vtt")
    text = (shared_media / "text" / f"sintel-{language}.vtt").read_bytes()
    (tmp_path / f"Film.2020.{language}.vtt").write_bytes(text)
    cues = read_cues(choose_script(info, language), info, 1000, 0.0)
    assert len(cues) == text.count(b"-->")
    assert cues[0].text == "TEST: [Test]"
    assert not any("<" in c.text for c in cues)
