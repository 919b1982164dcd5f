"""Names of published files, built and parsed by one module."""

from __future__ import annotations

from pathlib import Path

import pytest

from dubarr_pipeline.config.libraries import PublishOptions
from dubarr_pipeline.library.publishing.naming import (
    kept_original,
    mark_of,
    muxed_sidecar,
    object_part,
    object_url,
    part_of,
    published_path,
)
from dubarr_pipeline.media.subtitles.kept_originals import place_before
from dubarr_pipeline.workdir.layout import WorkDir

ROOT = Path("/films")
SOURCE = ROOT / "A 1.5" / "A 1.5 (pt-BR).mp4"


@pytest.mark.parametrize(
    ("options", "path"),
    [
        (PublishOptions("beside"), "/films/A 1.5/A 1.5 (pt-BR) - dubbed.mkv"),
        (PublishOptions("beside", label=".es"), "/films/A 1.5/A 1.5 (pt-BR).es.mkv"),
        (PublishOptions("tree", to=Path("/dubs")), "/dubs/A 1.5/A 1.5 (pt-BR).mkv"),
        (PublishOptions("replace"), "/films/A 1.5/A 1.5 (pt-BR).mkv"),
    ],
)
def test_a_film_is_named_by_its_mode(options: PublishOptions, path: str):
    assert published_path(Path("/w/final_muxed.mkv"), SOURCE, ROOT, options) == Path(path)


@pytest.mark.parametrize("language", ["es", "pt-BR", "zh-Hant-TW"])
@pytest.mark.parametrize("name", ["film.mkv", "A 1.5.es.mkv", "é" * 120 + ".mkv", "a\nb.mkv"])
def test_a_sidecars_language_survives_the_way_from_the_work_folder(name: str, language: str):
    source = ROOT / name
    made = muxed_sidecar(WorkDir(Path("/w")), source, language)
    assert made.suffix == ".mka"
    assert len(made.name.encode()) < 255
    place = published_path(made, source, ROOT, PublishOptions("sidecar"))
    assert place == ROOT / f"{source.stem}.{language}.mka"


def test_a_film_outside_of_its_library_keeps_its_name_alone():
    tree = PublishOptions("tree", to=Path("/dubs"))
    assert published_path(Path("/w/m.mkv"), Path("/else/b.avi"), ROOT, tree) == Path("/dubs/b.mkv")
    bucket = PublishOptions("tree", url="s3://bucket/films/")
    assert object_url(SOURCE, ROOT, bucket) == "s3://bucket/films/A 1.5/A 1.5 (pt-BR).mkv"


def test_originals_of_one_name_do_not_meet():
    kept = {kept_original(SOURCE, ROOT, f"a-film-{n:08x}") for n in range(3)}
    assert kept_original(SOURCE, ROOT, "a-film-0000001f").name == "A 1.5 (pt-BR).0000001f.mp4"
    assert {place_before(path) for path in (*kept, SOURCE)} == {SOURCE}
    assert len(kept) == 3


def test_unfinished_names_are_hidden_short_and_repeatable():
    path = ROOT / ("x" * 250 + ".mkv")
    for hidden in (part_of(path), mark_of(path), Path(object_part(f"bucket/{path.name}"))):
        assert hidden.name.startswith(".")
        assert len(hidden.name) < 255
    assert part_of(path).suffix == ".mkv"
    assert object_part("bucket/a.mkv") == object_part("bucket/a.mkv")
