from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.errors import ArtifactError, SourceChanged, SourceMissing
from dubarr_pipeline.library.videos import (
    KEY_PATTERN,
    Video,
    check_source,
    find_by_digest,
    find_source,
    load_video,
    make_video,
    registered,
    save_video,
    slug,
)
from dubarr_pipeline_tests.fixtures.bench import flip_byte

WISHES = {"target_langs": ("es", "pt-BR"), "profile": "lite"}


def film(path: Path, content: bytes = b"moving picture" * 50) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def register(path: Path, work_dir: Path, **wishes: object) -> Video:
    video = make_video(find_source(path), work_dir, **{**WISHES, **wishes})
    save_video(video, work_dir)
    return video


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("The Light on the Island", "the-light-on-the-island"),
        ("Amélie (2001) [1080p]", "amelie-2001-1080p"),
        ("--dash--", "dash"),
        ("千と千尋の神隠し", "video"),
        ("🎬", "video"),
        ("", "video"),
        ("new\nline", "new-line"),
        ("x" * 300, "x" * 60),
        ("a" * 59 + " b", "a" * 59),
        (os.fsdecode(b"caf\xe9"), "caf"),
    ],
)
def test_slug(stem: str, expected: str) -> None:
    assert slug(stem) == expected


@given(st.text(max_size=300))
def test_every_name_gives_a_key_that_dagster_and_file_systems_take(stem: str) -> None:
    assert KEY_PATTERN.fullmatch(f"{slug(stem)}-0123abcd")


def test_the_content_names_the_video_not_its_path(tmp_path: Path) -> None:
    one = register(film(tmp_path / "a" / "One.mkv"), tmp_path / "work")
    other = register(film(tmp_path / "b" / "Other Name.mkv"), tmp_path / "work", profile="lite")
    assert one.key == other.key
    assert load_video(one.key, tmp_path / "work").source == tmp_path / "b" / "Other Name.mkv"
    assert list(registered(tmp_path / "work")) == [one.key]


def test_equal_names_of_different_films_have_different_keys(tmp_path: Path) -> None:
    one = register(film(tmp_path / "a" / "film.mkv", b"1"), tmp_path / "work")
    other = register(film(tmp_path / "b" / "film.mkv", b"2"), tmp_path / "work")
    assert one.key != other.key
    assert slug("film") == one.key[:-9] == other.key[:-9]


def test_a_digest_that_only_begins_alike_is_another_video(tmp_path: Path) -> None:
    video = register(film(tmp_path / "film.mkv"), tmp_path / "work")
    digest = video.identity.digest
    assert find_by_digest(tmp_path / "work", digest) == video
    assert find_by_digest(tmp_path / "work", digest[:8] + "0" * 56) is None


@given(name=st.binary(min_size=1, max_size=200).filter(lambda n: not {0, 47} & set(n)))
def test_a_video_comes_back_as_it_was_saved(tmp_path_factory, name: bytes) -> None:
    base = tmp_path_factory.getbasetemp()
    source = film(base / "film.mkv")
    video = make_video(source, base / "none", **WISHES, overrides={"mix.codec": "aac"})
    moved = Video(
        video.key, base / os.fsdecode(name), video.identity, ("es",), "lite", {"mix.codec": "aac"}
    )
    save_video(moved, base / "work")
    assert load_video(video.key, base / "work") == moved


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"schema": 1}', '{"schema": 1, "key": 3}', '{"schema": 99}']
)
def test_a_damaged_request_is_named(tmp_path: Path, text: str) -> None:
    video = register(film(tmp_path / "film.mkv"), tmp_path / "work")
    path = video.work(tmp_path / "work").video
    path.write_text(text)
    with pytest.raises(ArtifactError) as caught:
        load_video(video.key, tmp_path / "work")
    assert str(path) in str(caught.value)


def test_an_unknown_video_is_told_how_to_be_registered(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="dubarr dub VIDEO --to LANGS"):
        load_video("film-00000000", tmp_path)


def test_registered_skips_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / ".dagster").mkdir()
    (tmp_path / "demo").mkdir()
    film(tmp_path / "loose file")
    assert list(registered(tmp_path)) == []
    assert list(registered(tmp_path / "absent")) == []


def test_a_source_is_the_same_by_content(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mkv")
    video = register(source, tmp_path / "work")
    check_source(video)
    os.utime(source, (1, 1))
    check_source(video)
    copy = source.read_bytes()
    source.unlink()
    with pytest.raises(SourceMissing, match=r"film\.mkv"):
        check_source(video)
    source.write_bytes(copy)
    check_source(video)
    flip_byte(source)
    with pytest.raises(SourceChanged, match="dubarr dub"):
        check_source(video)
