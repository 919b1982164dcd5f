"""Which subtitle is the script, and its cues on the audio clock."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.errors import NoScript
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.media.subtitles.read import (
    check_language,
    choose_script,
    existing_translation,
    read_cues,
    write_srt,
)
from dubarr_pipeline.media.subtitles.sources import SubtitleSource, find_subtitles
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.synthetic_media import (
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
        ("Film.2020.Director's Commentary.en.srt", "en", "commentary"),
        ("Film.2020.eng-forced.srt", "en", "forced"),
        ("Film.2020.forced_eng.srt", "en", "forced"),
        ("Film.2020.en_sdh.srt", "en", "sdh"),
        ("Film.2020.en-cc.srt", "en", "sdh"),
        ("Film.2020.en_hi.srt", "en", "sdh"),
        ("Film.2020.[eng].srt", "en", "full"),
        ("Film.2020.[eng][forced].srt", "en", "forced"),
        ("Film.2020 [eng].srt", "en", "full"),
        ("Film.2020 (English) (SDH).srt", "en", "sdh"),
        ("Film.2020-en.srt", "en", "full"),
        ("Film.2020_eng_forced.srt", "en", "forced"),
        ("Film.2020 - English - Forced.srt", "en", "forced"),
        ("Film.2020-pt-BR.srt", "pt-BR", "full"),
        ("Film.2020.pt-BR-forced.srt", "pt-BR", "forced"),
        ("Film.2020.pt_BR.srt", "pt-BR", "full"),
        ("Film.2020.zh-Hant-TW.srt", "zh-Hant-TW", "full"),
        ("Film.2020.es-latam.srt", "es-419", "full"),
        ("Film.2020.castellano.srt", "es", "full"),
        ("Film.2020.espanol.srt", "es", "full"),
        ("Film.2020.latino.srt", "es-419", "full"),
        ("Film.2020.brasileiro.srt", "pt-BR", "full"),
        ("Film.2020.BR-Rip.srt", None, "full"),
        ("Film.2020.WEB-DL.en.no-ads.srt", "en", "full"),
        ("Subs/2_pt-BR.srt", "pt-BR", "full"),
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
        "Film.2020 2.en.srt",
        "Film.2020-Trailer.en.srt",
        "Film.2020 (Extras).srt",
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


SPOKEN = {
    "en": ("Good evening, my friend. I have a letter for you.", "Who gave you the letter?"),
    "es": ("Buenas noches, amigo mío. Tengo una carta para ti.", "¿Quién te dio la carta?"),
    "fr": ("Bonsoir, mon ami. J'ai une lettre pour toi.", "Qui t'a donné cette lettre ?"),
    "de": ("Guten Abend, mein Freund. Ich habe einen Brief.", "Wer hat dir den Brief gegeben?"),
}


def holding(tmp_path: Path, **files: str):
    """A video with subtitles beside it: what follows its name (_ for .), and the language held."""
    info = beside(tmp_path)
    for words, language in files.items():
        cues = (f"00:00:0{n},000 --> 00:00:0{n},900\n{t}\n" for n, t in enumerate(SPOKEN[language]))
        (tmp_path / f"Film.2020{words.replace('_', '.')}.srt").write_text("\n".join(cues))
    return info


def chosen(source: SubtitleSource | None) -> tuple[str, str | None] | None:
    return (source.path.name, source.language) if source else None


def test_a_file_without_a_code_is_in_the_language_that_it_reads_like(tmp_path: Path):
    info = holding(tmp_path, _="es", _fr="fr")
    (tmp_path / "Film.2020..srt").rename(tmp_path / "Film.2020.srt")
    assert {chosen(source) for source in find_subtitles(info)} == {
        ("Film.2020.srt", "es"),
        ("Film.2020.fr.srt", "fr"),
    }
    with pytest.raises(NoScript, match=r"no usable subtitles in 'en'. Found: .*2020\.srt \(es"):
        choose_script(info, "en")
    assert chosen(existing_translation(info, "es")) == ("Film.2020.srt", "es")
    assert chosen(choose_script(info, "es-419")) == ("Film.2020.srt", "es")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_a_file_without_a_code_is_read_in_any_encoding(tmp_path: Path, encoding: str):
    info = holding(tmp_path, _es="es")
    text = (tmp_path / "Film.2020.es.srt").read_text()
    (tmp_path / "Film.2020.es.srt").unlink()
    (tmp_path / "Film.2020.srt").write_bytes(text.encode(encoding))
    assert chosen(existing_translation(info, "es")) == ("Film.2020.srt", "es")


@pytest.mark.parametrize("held", ["en", "fr", "de"])
def test_a_translation_in_another_language_than_its_name_is_not_used(
    tmp_path: Path, held: str, caplog: pytest.LogCaptureFixture
):
    info = holding(tmp_path, _es=held)
    assert existing_translation(info, "es") is None
    assert "Film.2020.es.srt is not used: it is labelled Spanish but reads like" in caplog.text
    holding(tmp_path, _es="es")
    os.utime(tmp_path / "Film.2020.es.srt", ns=(1, 1))
    assert chosen(existing_translation(info, "es")) == ("Film.2020.es.srt", "es")


def test_a_script_in_another_language_than_its_name_is_refused_and_another_taken(tmp_path: Path):
    info = holding(tmp_path, _en="es")
    with pytest.raises(NoScript, match="labelled English but reads like Spanish: label it with"):
        choose_script(info, "en")
    holding(tmp_path, _eng_sdh="en")
    assert chosen(choose_script(info, "en")) == ("Film.2020.eng.sdh.srt", "en")


def test_a_file_named_hi_is_hindi_or_for_the_hard_of_hearing(tmp_path: Path):
    info = beside(tmp_path, "Film.2020.hi.srt")
    assert [(s.language, s.kind) for s in find_subtitles(info)] == [("hi", "full")]
    assert chosen(choose_script(holding(tmp_path, _hi="en"), "en")) == ("Film.2020.hi.srt", "en")
    assert [(s.language, s.kind) for s in find_subtitles(info)] == [("en", "sdh")]


def test_an_embedded_script_in_another_language_than_its_label_is_refused():
    cues = [Cue(Span(n, n + 1), text) for n, text in enumerate(SPOKEN["es"])]
    labelled = find_subtitles(media_info(subtitle_stream(2, "en")))[0]
    with pytest.raises(NoScript, match=r"stream #2 \(en.* labelled English but reads like Spanish"):
        check_language(labelled, cues)
    (bare,) = find_subtitles(media_info(subtitle_stream(2, None)))
    with pytest.raises(NoScript, match="names no language but reads like Spanish, and English is"):
        check_language(bare, cues, "en")
    check_language(bare, cues)
    for source in find_subtitles(
        media_info(subtitle_stream(2, "es-419"), subtitle_stream(3, None))
    ):
        check_language(source, cues)
    check_language(labelled, cues[1:])


def test_translations_into_the_target_never_make_the_spoken_language_doubtful(tmp_path: Path):
    info = holding(tmp_path, _en="en", _fr="fr")
    assert chosen(choose_script(info, None, ("fr",))) == ("Film.2020.en.srt", "en")
    assert chosen(choose_script(info, None, ("en",))) == ("Film.2020.fr.srt", "fr")
    assert chosen(choose_script(info, None, ("fr-CA", "es"))) == ("Film.2020.en.srt", "en")
    with pytest.raises(NoScript, match=r"several languages.*--from"):
        choose_script(info, None, ("es",))
    holding(tmp_path, _de="de")
    with pytest.raises(NoScript, match="several languages"):
        choose_script(info, None, ("fr",))
    assert chosen(choose_script(info, None, ("fr", "de"))) == ("Film.2020.en.srt", "en")


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
    assert found == {
        "srt": both,
        "ass": tuple(replace(cue, style="Default") for cue in both),
        "vtt": (replace(hello, name="Ann"),),
    }


def test_embedded_text_that_ffmpeg_does_not_know(film: Path, tmp_path: Path):
    (tmp_path / "v.vtt").write_text(
        "WEBVTT\n\n00:01.000 --> 00:02.500 line:0\n<v Ann>Hello <i>&amp;</i> you\n\n"
        "NOTE 7\n\n00:02.000 --> 00:03.000\n7\n"
    )
    (tmp_path / "u.usf").write_text(
        '<?xml version="1.0"?><USFSubtitles version="1.0"><metadata><title>T</title></metadata>'
        '<subtitles><subtitle start="00:00:01.000" stop="00:00:02.500"><image x="1">a.png</image>'
        '<text style="D">Hello<br/><b>you</b> &lt;3</text><text>there</text></subtitle></subtitles>'
        "</USFSubtitles>"
    )
    path = tmp_path / "film.mkv"
    named = ["--language", "0:de", tmp_path / "v.vtt", "--language", "0:es", tmp_path / "u.usf"]
    ffmpeg.run(["-q", "-o", path, film, *named], tool="mkvmerge")
    info = probe(path)
    german, spanish = choose_script(info, "de"), existing_translation(info, "es")
    assert read_cues(german, info, 1000, 0.0) == (
        Cue(Span(1000, 2500), "Hello & you", "Ann"),
        Cue(Span(2000, 3000), "7"),
    )
    assert spanish
    assert read_cues(spanish, info, 1000, 0.0) == (Cue(Span(1000, 2500), "Hello\nyou <3\nthere"),)


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


def test_cues_before_the_sound_keep_their_negative_times(tmp_path: Path):
    info = beside(tmp_path, "Film.2020.en.srt")
    (source,) = find_subtitles(info)
    assert [c.span for c in read_cues(source, info, 1000, 2.5)] == [
        Span(-1500, 0),
        Span(500, 1500),
    ]
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
    assert (cues[0].text, cues[0].name) == ("[Test]", "Test")
    assert not any("<" in c.text for c in cues)
