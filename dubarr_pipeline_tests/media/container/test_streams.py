"""Which audio stream is dubbed: the rule, step by step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dubarr_pipeline.errors import NoAudio, NotAVideo
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container.extract import extract_audio
from dubarr_pipeline.media.container.probe import probe, title_of
from dubarr_pipeline.media.container.streams import (
    Stream,
    choose_audio,
    is_aside,
    other_audio,
    with_joined_channels,
)
from dubarr_pipeline_tests.fixtures.synthetic_media import (
    Film,
    audio_stream,
    make_film,
    media_info,
    noise,
    subtitle_stream,
)

DEFAULT, COMMENT, ORIGINAL, DUB = ("default",), ("comment",), ("original",), ("dub",)


def picture(index: int, program: int) -> Stream:
    return Stream(index, "video", "h264", programs=frozenset({program}))


CASES: dict[str, tuple[list[Stream], str | None, int]] = {
    "the only one": ([audio_stream(1)], None, 1),
    "the first of equals": ([audio_stream(1), audio_stream(2)], None, 1),
    "default before the first": ([audio_stream(1), audio_stream(2, flags=DEFAULT)], None, 2),
    "more channels": ([audio_stream(1), audio_stream(2, channels=6)], None, 2),
    "default before more channels": (
        [audio_stream(1, channels=6), audio_stream(2, flags=DEFAULT)],
        None,
        2,
    ),
    "original before default": (
        [audio_stream(1, "de", flags=DEFAULT), audio_stream(2, "en", flags=ORIGINAL)],
        None,
        2,
    ),
    "no commentary though default and 5.1": (
        [audio_stream(1, flags=("comment", "default"), channels=6), audio_stream(2, channels=1)],
        None,
        2,
    ),
    "no commentary by title": ([audio_stream(1, title="Commentary"), audio_stream(2)], None, 2),
    "no audio description": (
        [audio_stream(1, flags=("visual_impaired", "default")), audio_stream(2)],
        None,
        2,
    ),
    "a commentary if there is nothing else": ([audio_stream(1, flags=COMMENT)], None, 1),
    "the wanted language": ([audio_stream(1, "de", flags=DEFAULT), audio_stream(2, "en")], "en", 2),
    "the wanted region": ([audio_stream(1, "pt-PT"), audio_stream(2, "pt-BR")], "pt-BR", 2),
    "the language before another region": (
        [audio_stream(1, "pt-PT", channels=6), audio_stream(2, "pt")],
        "pt-BR",
        2,
    ),
    "another region before none": ([audio_stream(1, None), audio_stream(2, "pt-PT")], "pt-BR", 2),
    "none named before a wrong one": (
        [audio_stream(1, "de", flags=DEFAULT), audio_stream(2, None)],
        "en",
        2,
    ),
    "programme before the wanted language's commentary": (
        [audio_stream(1, "en", flags=COMMENT), audio_stream(2, None)],
        "en",
        2,
    ),
    "a score last, by its language": (
        [audio_stream(1, None, channels=6, tags={"language": "zxx"}), audio_stream(2, channels=1)],
        None,
        2,
    ),
    "a score after a commentary": (
        [audio_stream(1, title="Isolated Score"), audio_stream(2, flags=COMMENT)],
        None,
        2,
    ),
    "a score if there is nothing else": ([audio_stream(1, title="Isolated Score")], None, 1),
    "not another programme's": (
        [
            *(picture(0, 1), audio_stream(1, programs=frozenset({1}))),
            *(picture(2, 2), audio_stream(3, channels=6, programs=frozenset({2}))),
        ],
        None,
        1,
    ),
    "a sound of both programmes": (
        [picture(0, 1), audio_stream(1, channels=6, programs=frozenset({1, 2})), picture(2, 2)],
        None,
        1,
    ),
    "a sound of no programme": (
        [picture(0, 1), audio_stream(1, programs=frozenset({1})), audio_stream(2, channels=6)],
        None,
        2,
    ),
    "no earlier dub": (
        [audio_stream(1, "en", flags=("dub", "default")), audio_stream(2, "en")],
        None,
        2,
    ),
    "none of our own": (
        [audio_stream(1, "es", title="Español · dub", channels=6, flags=DEFAULT), audio_stream(2)],
        None,
        2,
    ),
    "none that cannot be decoded": ([audio_stream(1, channels=0), audio_stream(2)], None, 2),
}


@pytest.mark.parametrize("case", CASES)
def test_the_rule(case: str):
    streams, language, expected = CASES[case]
    assert choose_audio(media_info(*streams), language).index == expected


@pytest.mark.parametrize(
    "title",
    [
        "Director's Commentary",
        "Commentaire audio",
        "Comentarios del director",
        "Kommentar",
        "解説",
        "Комментарии режиссёра",
        "Commento",
        "Comentário",
        "コメンタリー",
        "Komentarz",
        "评论音轨",
        "Audio Description",
        "Descriptive Audio",
        "Audiodescripción",
        "Audiodeskription",
        "DVS",
        "AD",
        "Hörfilmfassung",
        "Audiodescription",
        "English [AD]",
        "Тифлокомментарий",
        "For the Visually Impaired",
        "Isolated Score",
        "Music Only",
        "Music and Effects",
        "M&E",
        "M & E 5.1",
        "Isolated Music Score",
        "Isolated Score (Stereo)",
        "Original Score by Bernard Herrmann",
        "Partition isolée",
        "Música y efectos",
        "Musique et effets",
        "Musik und Effekte",
        "Musica ed effetti",
        "Musique & Effets sonores",
        "Effects only",
        "Instrumental",
        "Stereo, no dialogue",
        "Ohne Dialog",
        "Sans dialogues",
        "Music",
        "Karaoke",
    ],
)
def test_titles_of_what_is_beside_the_programme(title: str):
    assert is_aside(audio_stream(1, title=title))
    assert choose_audio(media_info(audio_stream(1, title=title), audio_stream(2))).index == 2


@pytest.mark.parametrize(
    "title",
    [
        "English",
        "Surround 5.1",
        "Stereo",
        "Dolby Digital+ Atmos",
        "Original",
        "Español (España)",
        "Adam's cut",
        "Madagascar",
        "DTS-HD MA",
        "Broadcast",
        "Theatrical",
        "Remastered mono",
        "The Sound of Music",
        "Musical numbers in English",
        "English (Scorsese introduction)",
        "Mandarin",
        "Me and Earl",
        None,
        "",
    ],
)
def test_titles_of_the_programme(title: str | None):
    assert not is_aside(audio_stream(1, title=title))


def test_an_index_is_obeyed():
    info = media_info(audio_stream(1), audio_stream(4, flags=COMMENT), subtitle_stream(5, "en"))
    assert choose_audio(info, "de", index=4).index == 4
    for index in (0, 5, 9, -1):
        with pytest.raises(NoAudio, match=rf"no audio stream #{index}: #1 audio .*; #4 audio"):
            choose_audio(info, index=index)


def test_a_language_that_is_not_there_lists_the_choices():
    info = media_info(audio_stream(1, "de", title="Kino"), audio_stream(2, "fr"))
    with pytest.raises(NoAudio, match=r"no audio in 'en': #1 audio \(de, ac3, stereo, \"Kino\"\)"):
        choose_audio(info, "en")


def test_no_sound_at_all_is_named():
    with pytest.raises(NoAudio, match="has no audio stream"):
        choose_audio(media_info(subtitle_stream(1, "en")))
    with pytest.raises(NoAudio, match="can be decoded"):
        choose_audio(media_info(audio_stream(1, channels=0)))


def test_flags_and_titles_of_a_real_file(tmp_path: Path):
    extra = ("-map", "1:a", "-map", "1:a", "-disposition:a:0", "default+comment")
    titles = ("-metadata:s:a:1", "title=Descriptive", "-metadata:s:a:2", "language=eng")
    path = make_film(tmp_path / "a.mkv", noise(), Film(extra=extra + titles))
    assert choose_audio(probe(path)).index == 3


@pytest.mark.parametrize("options", [(), ("-movflags", "+faststart")])
def test_titles_of_mp4_which_ffmpeg_5_does_not_show(tmp_path: Path, options: tuple[str, ...]):
    extra = ("-map", "1:a", "-metadata:s:a:0", "title=Director’s Commentary", *options)
    extra += ("-metadata:s:a:1", "title=Español · Cine")
    info = probe(make_film(tmp_path / "a.mp4", noise(), Film(codec="aac", extra=extra)))
    assert [stream.title for stream in info.audio] == ["Director’s Commentary", "Español · Cine"]
    assert choose_audio(info).index == 2


def test_a_handler_of_mp4_that_a_person_named_is_a_title(tmp_path: Path):
    extra = ("-map", "1:a", "-metadata:s:a:0", "handler_name=Isolated score")
    info = probe(make_film(tmp_path / "a.mp4", noise(), Film(codec="aac", extra=extra)))
    assert [stream.title for stream in info.audio] == ["Isolated score", None]
    assert choose_audio(info).index == 2


@pytest.mark.parametrize(
    ("handler", "title"),
    [
        *(
            (name, None)
            for name in ("SoundHandler", "SoundHandle", "Core Media Audio", "GoPro AAC")
        ),
        *((name, None) for name in ("L-SMASH Audio Handler", "Video Track 1", "\x10DJI.AVC", "")),
        *((name, name) for name in ("Audio Description", "Sound effects only", "Commentary")),
    ],
)
def test_handlers_that_programs_give_to_every_track_are_no_titles(handler: str, title: str | None):
    assert title_of({"tags": {"handler_name": handler}}, {}) == title


def test_the_language_zxx_of_a_real_file(tmp_path: Path):
    extra = ("-map", "1:a", "-metadata:s:a:0", "language=zxx", "-metadata:s:a:1", "language=eng")
    info = probe(make_film(tmp_path / "a.mkv", noise(), Film(extra=extra)))
    assert [stream.language for stream in info.audio] == [None, "en"]
    assert choose_audio(info).index == 2


def two_programmes(path: Path, first_sound: bool = True) -> Path:
    """A recording of two programmes, the second with the wider sound and another language."""
    inputs = ["testsrc2=s=96x64:d=1", "sine=d=1", "smptebars=s=96x64:d=1", "sine=d=1"]
    given = [argument for each in inputs for argument in ("-f", "lavfi", "-i", each)]
    maps = [argument for n in range(4) for argument in ("-map", str(n))]
    codecs = ["-c:v", "mpeg2video", "-c:a:0", "mp2", "-c:a:1", "ac3", "-ac:a:1", "6"]
    first = "program_num=1:st=0" + (":st=1" if first_sound else "")
    second = "program_num=2:st=2:st=3" + ("" if first_sound else ":st=1")
    ffmpeg.run(["-y", *given, *maps, *codecs, "-program", first, "-program", second, path])
    return path


def test_the_sound_of_a_recording_is_that_of_its_first_picture(tmp_path: Path):
    info = probe(two_programmes(tmp_path / "a.ts"))
    assert [sorted(stream.programs) for stream in info.streams] == [[1], [1], [2], [2]]
    assert choose_audio(info).codec == "mp2"
    assert [s.codec for s in other_audio(info, info.audio[0])] == []
    assert choose_audio(info, index=info.audio[1].index).codec == "ac3"


def test_a_first_programme_without_sound_lists_the_others(tmp_path: Path):
    info = probe(two_programmes(tmp_path / "a.ts", first_sound=False))
    with pytest.raises(NoAudio, match=r"in the programme of its first picture: #\d audio"):
        choose_audio(info)


def test_what_may_speak_where_the_chosen_sound_does_not():
    chosen = audio_stream(1, "en", flags=DEFAULT)
    others = [audio_stream(2, "fr"), audio_stream(3, None), audio_stream(4, "en-GB", channels=1)]
    asides = [audio_stream(5, flags=COMMENT), audio_stream(6, title="Score")]
    found = other_audio(media_info(chosen, *others, *asides), chosen)
    assert [stream.index for stream in found] == [4, 3]


def with_an_empty_default(folder: Path) -> Path:
    """A film whose default sound, 5.1, is declared and has not one packet; the other is stereo."""
    whole, empty = folder / "whole.mkv", folder / "empty.mkv"
    picture = ["-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=1"]
    stereo = ["-f", "lavfi", "-i", "sine=d=1,aformat=channel_layouts=stereo"]
    wide = ["-f", "lavfi", "-i", "anoisesrc=d=1,aformat=channel_layouts=5.1"]
    maps = [a for n in range(3) for a in ("-map", str(n))]
    flags = ["-c:a", "ac3", "-disposition:a:1", "default"]
    ffmpeg.run(["-y", *picture, *stereo, *wide, *maps, *flags, whole])
    dropped = ["-bsf:a:1", "noise=drop=1"]
    ffmpeg.run(["-y", "-i", whole, "-map", "0", "-c", "copy", *dropped, empty])
    return empty


def test_a_stream_without_a_packet_is_not_dubbed(tmp_path: Path):
    info = probe(with_an_empty_default(tmp_path))
    assert (info.audio[1].channels, "default" in info.audio[1].dispositions) == (6, True)
    assert choose_audio(info).index == 1
    assert choose_audio(info, index=2).index == 2
    with pytest.raises(NoAudio, match=r"#2 audio .*holds no sound: choose another stream"):
        extract_audio(info, info.stream(2), tmp_path / "x.wav")


@pytest.mark.parametrize("tag", ["number_of_frames", "number_of_frames-eng"])
def test_by_its_statistics_an_empty_stream_is_known(tag: str):
    empty = replace(audio_stream(1, channels=6), tags={tag: "0"})
    assert choose_audio(media_info(empty, audio_stream(2))).index == 2
    one = replace(empty, tags={tag: "1", "duration": "00:00:00.032000000"})
    assert choose_audio(media_info(one, audio_stream(2))).index == 1
    with pytest.raises(NoAudio, match=r"holds any sound: #1 audio"):
        choose_audio(media_info(empty))


def test_a_stream_that_is_not_what_its_label_says_is_refused_by_name(tmp_path: Path):
    path, broken = tmp_path / "film.mkv", tmp_path / "broken.mkv"
    picture = ["-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=2", "-f", "lavfi", "-i", "sine=d=2"]
    ffmpeg.run(["-y", *picture, "-c:a", "pcm_u8", path])
    # The codec's name of the track, changed in place: bytes of PCM are no AC-3.
    data = path.read_bytes().replace(b"A_PCM/INT/LIT", b"A_AC3\0\0\0\0\0\0\0\0")
    broken.write_bytes(data)
    info = probe(broken)
    with pytest.raises(NotAVideo, match=r"broken\.mkv: #1 audio .*choose another with audio"):
        extract_audio(info, choose_audio(info), tmp_path / "x.wav")


@pytest.mark.parametrize(
    ("places", "sounds"),
    [
        ("FL FR", ["stereo"]),
        ("FR FL", ["stereo"]),
        ("FL FR FL FR", ["stereo", "stereo"]),
        ("FL FR FC", ["stereo", "mono"]),
        ("FL FR FC LFE SL SR FC", ["5.1(side)", "mono"]),
        ("FL FR LFE FC BR BL FL FR", ["5.1", "stereo"]),
        ("FC FC", ["mono", "mono"]),
        ("FL", ["1 channels (FL)"]),
        ("FL FL", ["1 channels (FL)", "1 channels (FL)"]),
    ],
)
def test_mono_tracks_that_are_one_sound(places: str, sounds: list[str]):
    streams = tuple(
        Stream(
            n, "audio", "pcm", rate=48_000, channels=1,
            layout="mono" if place == "FC" else f"1 channels ({place})",
        )
        for n, place in enumerate(places.split(), 1)
    )  # fmt: skip
    info = media_info(*with_joined_channels(streams))
    assert [sound.layout for sound in info.audio] == sounds
    german = (*streams[:-1], replace(streams[-1], language="de"))
    if len(german) == 2:
        assert with_joined_channels(german) == german
