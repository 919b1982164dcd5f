"""What players will see of each track: tables of languages, titles and flags."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.errors import LanguageError
from dubarr_pipeline.media.container.facts import ContainerFacts, StreamFacts
from dubarr_pipeline.media.container.matroska_headers import mark_tags, shift_chapters
from dubarr_pipeline.media.container.timelines import Timelines
from dubarr_pipeline.media.mux.options import DubSubtitle, DubTrack, MuxOptions
from dubarr_pipeline.media.mux.stream_plan import plan_streams
from dubarr_pipeline.media.mux.track_flags import dub_title, legacy_language, track_flags

DUBS = [DubTrack(Path("a.ac3"), "es"), DubTrack(Path("b.ac3"), "ca")]


def stream(index: int, kind: str, codec: str = "", flags: str = "", **tags: str) -> StreamFacts:
    return StreamFacts(index, kind, codec, frozenset(flags.split()), tags)


@pytest.fixture(scope="module", autouse=True)
def _uncut() -> Iterator[None]:
    """No film lies behind the facts of these tests, so none has edits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dubarr_pipeline.media.mux.stream_plan.read_edits", lambda _: Timelines())
        yield


@pytest.mark.parametrize(
    ("tag", "legacy", "title"),
    [
        ("es", "spa", "Español · dub"),
        ("pt-BR", "por", "Português (Brasil) · dub"),
        ("fr", "fre", "Français · dub"),
        ("de", "ger", "Deutsch · dub"),
        ("zh", "chi", "中文 · dub"),
        ("ca", "cat", "Català · dub"),
        ("yue", None, "粵語 · dub"),
        ("zh-HK", "chi", "中文 (香港) · dub"),
        ("ca-valencia", "cat", "Valencià · dub"),
        ("es-419", "spa", "Español (Latinoamérica) · dub"),
        ("sr-Latn", "srp", "Srpski (latinica) · dub"),
        ("en-GB", "eng", "English (United Kingdom) · dub"),
        ("mn-Mong", "mon", "Монгол · dub"),
        ("fil", None, "Filipino · dub"),
        ("x-elvish", None, "X-elvish · dub"),
    ],
)
def test_languages_for_old_and_new_players(tag: str, legacy: str | None, title: str) -> None:
    assert (legacy_language(tag), dub_title(tag)) == (legacy, title)


def test_a_language_that_is_none_is_refused() -> None:
    with pytest.raises(LanguageError, match="write it like es, pt-BR"):
        track_flags([], [DubTrack(Path("a"), "Spanish, of course")], [], MuxOptions())


@pytest.mark.parametrize(
    ("sounds", "named", "original"),
    [
        (["", "default"], None, 1),
        (["", ""], None, 0),
        (["default comment", ""], None, 1),
        (["visual_impaired", "comment", "default"], None, 2),
        (["default", "original"], None, 1),
        (["default", ""], 2, 1),
        (["comment"], None, None),
    ],
)
def test_which_sound_is_marked_as_the_original(
    sounds: list[str], named: int | None, original: int | None
) -> None:
    streams = [stream(0, "video"), *(stream(n, "audio", "ac3", f) for n, f in enumerate(sounds, 1))]
    flags = track_flags(streams, DUBS, [], MuxOptions(original_stream=named))
    marked = [n for n, f in enumerate(flags[1:]) if "original" in f.flags]
    assert marked == ([] if original is None else [original])


def test_our_own_track_is_never_the_original() -> None:
    streams = [stream(0, "audio", "ac3", "default", dubarr="x"), stream(1, "audio", "ac3")]
    flags = track_flags(streams, [], [], MuxOptions())
    assert ["original" in f.flags for f in flags] == [False, True]


def test_new_tracks_write_every_flag_out_and_kept_ones_only_what_is_set() -> None:
    kept, new, _, text = track_flags(
        [stream(0, "audio", "ac3", "default comment")],
        DUBS,
        [DubSubtitle(Path("a.srt"), "es")],
        MuxOptions(),
    )
    assert [e for e in kept.edits() if e != "--set"] == ["flag-default=1", "flag-commentary=1"]
    settings = [e for e in new.edits() if e != "--set"]
    assert "flag-default=0" in settings
    assert "flag-forced=0" in settings
    assert settings[-2:] == ["language=es", "name=Español · dub"]
    assert (text.kind, text.flags) == ("subtitle", frozenset())


def facts(format_name: str, *streams: StreamFacts) -> ContainerFacts:
    return ContainerFacts(Path("film"), format_name, 0, 1.0, streams, (), {})


KINDS = {
    "video": ["h264", "hevc", "mpeg2video", ""],
    "audio": ["aac", "ac3", "pcm_bluray", "pcm_s16le"],
    "subtitle": ["subrip", "mov_text", "hdmv_pgs_subtitle", "dvb_teletext"],
    "attachment": ["ttf"],
    "data": ["bin_data", ""],
}


@given(
    st.lists(
        st.sampled_from([(kind, codec) for kind, codecs in KINDS.items() for codec in codecs])
    ),
    st.sampled_from(["matroska,webm", "mpegts", "avi", "mov,mp4,m4a,3gp,3g2,mj2"]),
    st.sampled_from(["", "attached_pic", "default"]),
    st.booleans(),
)
def test_no_stream_is_lost_without_a_word(
    chosen: list[tuple[str, str]], container: str, flags: str, replace_own: bool
) -> None:
    streams = [
        stream(
            n, kind, codec, flags if kind == "video" else "", **({"dubarr": "x"} if n % 3 else {})
        )
        for n, (kind, codec) in enumerate(chosen)
    ]
    plan = plan_streams(facts(container, *streams), MuxOptions(replace_own=replace_own))
    named = [t.stream.index for t in plan.tracks] + [s.index for s in plan.covers]
    named += [s.index for s in plan.attachments] + [o.stream.index for o in plan.left_out]
    assert sorted(named) == list(range(len(streams)))
    assert all(o.reason for o in plan.left_out)
    assert all(t.encoder == "copy" or t.proof in ("text", "samples") for t in plan.tracks)


@pytest.mark.parametrize(
    ("container", "codec", "proof"),
    [
        ("mpegts", "h264", "coded units"),
        ("avi", "h264", "coded units"),
        ("mov,mp4,m4a,3gp,3g2,mj2", "h264", "packets"),
        ("matroska,webm", "hevc", "packets"),
        ("mpegts", "aac", "raw frames"),
        ("matroska,webm", "aac", "packets"),
        ("mpegts", "hdmv_pgs_subtitle", "merged packets"),
        ("mov,mp4,m4a,3gp,3g2,mj2", "mov_text", "text"),
        ("mpegts", "pcm_bluray", "samples"),
    ],
)
def test_what_is_compared_depends_on_the_framing(container: str, codec: str, proof: str) -> None:
    (track,) = plan_streams(facts(container, stream(0, "audio", codec))).tracks
    assert track.proof == proof


@pytest.mark.parametrize(("bits", "encoder"), [("s16", "pcm_s16le"), ("s32", "pcm_s24le")])
def test_disc_sound_keeps_all_its_bits(bits: str, encoder: str) -> None:
    found = StreamFacts(0, "audio", "pcm_bluray", frozenset(), {}, sample_format=bits)
    assert plan_streams(facts("mpegts", found)).tracks[0].encoder == encoder


@pytest.mark.parametrize(
    ("before", "shift_us", "after"),
    [
        ("00:00:01.500000000", 21_000, "00:00:01.521000000"),
        ("01:59:59.999999999", 1, "02:00:00.000000999"),
        ("00:00:00.000000000", -5, "00:00:00.000000000"),
        ("10:00:00.5", 0, "10:00:00.500000000"),
    ],
)
def test_chapters_move_with_the_film(before: str, shift_us: int, after: str) -> None:
    root = ET.fromstring(f"<C><A><ChapterTimeStart>{before}</ChapterTimeStart></A></C>")
    assert shift_chapters(root, shift_us).findtext(".//ChapterTimeStart") == after


def test_marks_join_the_tags_that_are_there() -> None:
    root = ET.fromstring("<Tags><Tag><Targets/></Tag></Tags>")
    tags = mark_tags(root, {7: {"DUBARR": "machine-made"}})
    assert [tag.findtext(".//TrackUID") for tag in tags] == [None, "7"]
    assert len(mark_tags(None, {})) == 0
