"""Work folders by way of S3's own protocol: a number is taken once, and a film moves."""

from __future__ import annotations

from dubarr_pipeline.config.settings import parse_settings
from dubarr_pipeline.library.staging.folders import staged_film
from dubarr_pipeline.library.staging.manifest import FilmObjects, Manifest
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.library.publishing.test_s3 import Shop, server, shop  # noqa: F401

KEY, URL = "a-film-0123abcd", "s3://shelf/work"


def test_a_film_moves_by_way_of_s3(shop: Shop, tmp_path):  # noqa: F811
    a, b = tmp_path / "a", tmp_path / "b"
    for folder in (a, b):
        settings = parse_settings({"workers": {"work_store": URL}}, folder)
        work = WorkDir(folder / KEY)
        with staged_film(KEY, settings, "segments", ()):
            before = work.journal.read_text() if work.journal.exists() else ""
            work.journal.write_text(f"{before}{folder.name}\n")
    assert (b / KEY / "segments.journal").read_text() == "a\nb\n"
    assert len([key for key in shop.held() if "/manifests/" in key]) == 1


def test_s3_takes_a_number_once(shop: Shop):  # noqa: F811
    objects = FilmObjects(URL, KEY)
    assert objects.write(1, Manifest(holder="one"))
    assert objects.write(1, Manifest(holder="one")), "the driver may have sent it twice"
    assert not objects.write(1, Manifest(holder="other"))
    assert objects.read().holder == "one"
