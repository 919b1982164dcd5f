"""What a person sees of a library that dubs itself: Dagster's views, and the report as a file.

`docs/screenshots/make` runs these very tests on the demo and three films, for the pictures there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dubarr_pipeline.definitions import defs
from dubarr_pipeline.defs.runtime.records import report_address, stage_key
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline.demo.video import demo_video
from dubarr_pipeline.files import read_json
from dubarr_pipeline.library.videos import load_video
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fixtures.bench import write_config
from dubarr_pipeline_tests.fixtures.browser import Browser, browser
from dubarr_pipeline_tests.fixtures.dagster_server import Server
from dubarr_pipeline_tests.fixtures.film_shelf import make_shelf

pytestmark = pytest.mark.slow

PICTURES = os.environ.get("DUBARR_PICTURES")
SHELF = ("The Boat", "The Island", "The Lighthouse") if PICTURES else ("The Boat",)
LOCATION = "locations/__repository__@dubarr_pipeline.definitions"


@dataclass(frozen=True)
class Library:
    """A server whose sensor has found some films and had them dubbed.

    Attributes:
        films: how many.
        work: of the film that is looked at.
        run: that dubbed it.
    """

    server: Server
    films: int
    work: WorkDir
    run: str

    @property
    def key(self) -> str:
        return self.work.root.name

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.port}/{path}"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("watched")
    shelf = folder / "films"
    films = make_shelf(shelf, SHELF)
    if PICTURES:
        films.insert(0, demo_video(shelf))
    watched = {"path": str(shelf), "target_langs": ["es", "ca"]}
    config = write_config(folder / "dubarr.toml", {"libraries.films": watched})
    server = Server(folder / "work", config, supervised=True)
    try:
        server.start()
        server.switch_on("media_folder")
        server.wait(lambda: _dubbed(server) == len(films), "the sensor had the films dubbed")
        yield _found(server, films)
    finally:
        server.kill()


def _dubbed(server: Server) -> int:
    found = [run["status"] for run in server.runs()]
    assert "FAILURE" not in found, server.words()
    return found.count("SUCCESS")


def _found(server: Server, films: list[Path]) -> Library:
    folders = [path.parent for path in server.work_dir.glob("*/video.json")]
    (work,) = [f for f in folders if load_video(f.name, server.work_dir).source == films[0]]
    mark = {"key": "dagster/partition", "value": work.name}
    ids = [run["runId"] for run in server.runs()]
    (run,) = [each for each in ids if mark in server.run(each)["tags"]]
    return Library(server, len(films), WorkDir(work), run)


@pytest.fixture(scope="module")
def chromium(library: Library) -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture
def seen(chromium: Browser) -> Iterator[Browser]:
    """A page of its own: what another one asks for late is not found here."""
    with chromium.tab() as page:
        yield page


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return Path(PICTURES) if PICTURES else tmp_path


def test_the_graph_of_all_stages(library: Library, seen: Browser, pictures: Path):
    seen.size(2480, 1500, 0.66)
    seen.open(library.url(f"{LOCATION}/asset-groups/dubbing/lineage"), *STAGE_NAMES)
    seen.shoot(pictures / "assets.png")
    assert seen.exceptions == []


def test_what_a_stage_recorded_of_a_film(library: Library, seen: Browser, pictures: Path):
    seen.size(1440, 1060)
    page = f"assets/dub/segments?view=partitions&partition={library.key}"
    text = seen.open(library.url(page), library.key, "Materialized", "takes_per_line", "seconds")
    placed = json.loads(library.work.segments_report.read_text())["stats"]["placed"]
    assert f"lines {placed} placed {placed} kept_original 0 failed 0" in " ".join(text.split())
    seen.shoot(pictures / "partition.png")
    assert seen.exceptions == []


def test_the_report_opens_by_a_link(library: Library, seen: Browser):
    page = f"assets/dub/report?view=partitions&partition={library.key}"
    address = report_address(library.key)
    seen.open(library.url(page), library.key, address)
    links = "[...document.links].map(each => each.getAttribute('href'))"
    assert address in seen.read(links)
    seen.open(library.url(address.removeprefix("/")), "Timeline: the original above")


@pytest.mark.parametrize(("stage", "name"), [("diarization", "speakers"), ("segments", "timeline")])
def test_the_picture_of_a_stage(
    stage: str, name: str, library: Library, seen: Browser, pictures: Path
):
    seen.size(1440, 700)
    page = f"assets/dub/{stage}?view=partitions&partition={library.key}"
    seen.open(library.url(page), library.key, "[Show Markdown]")
    seen.press("[Show Markdown]")
    seen.show("Close")
    drawn = "[...document.images].filter(each => each.src.startsWith('data:'))"
    assert seen.read(f"{drawn}.map(each => each.naturalWidth > 400)") == [True]
    seen.shoot(pictures / f"{name}.png")
    assert seen.exceptions == []


def test_the_checks_of_a_stage(library: Library, seen: Browser, pictures: Path):
    seen.size(1440, 800)
    asset = defs.resolve_assets_def(stage_key("mix"))
    names = [spec.name for spec in asset.check_specs]
    page = "assets/dub/mix?view=checks&checkDetail=loudness_on_target"
    text = seen.open(library.url(page), *names, "Passed", "miss_lu_es", "miss_lu_ca")
    assert "Failed" not in text
    seen.shoot(pictures / "checks.png")
    assert seen.exceptions == []


def test_the_run_of_a_film(library: Library, seen: Browser, pictures: Path):
    seen.size(1440, 1000)
    steps = [f"dub__{stage}" for stage in STAGE_NAMES]
    text = seen.open(library.url(f"runs/{library.run}"), library.key, "Success", *steps)
    assert "Launched by media_folder" in " ".join(text.split())
    seen.shoot(pictures / "run.png")
    seen.size(1440, 600)
    seen.open(library.url("runs"), library.key, "Success")
    seen.shoot(pictures / "runs.png")
    assert seen.exceptions == []


def test_the_tick_of_the_sensor_that_found_the_films(
    library: Library, seen: Browser, pictures: Path
):
    seen.size(1440, 900)
    many = "" if library.films == 1 else "s"
    found = f"{library.films} run{many} requested"
    new = f"({library.films} partition{many} created)"
    seen.open(library.url(f"{LOCATION}/sensors/media_folder"), "media_folder", found, new)
    seen.shoot(pictures / "sensor.png")
    assert seen.exceptions == []


@pytest.mark.parametrize(("name", "width"), [("report", 1280), ("report-narrow", 400)])
def test_the_report_is_a_file_that_needs_nothing_else(
    name: str, width: int, library: Library, seen: Browser, pictures: Path
):
    told = read_json(library.work.report)
    seen.size(width, 1640)
    page = library.work.report_page.as_uri()
    text = seen.open(page, *told["summary"], "Spanish", "Catalan", "Timeline", *STAGE_NAMES[:-1])
    placed = [f"{counts['placed']} placed" for counts in told["lines"].values()]
    assert [words for words in placed if words not in text] == []
    seen.shoot(pictures / f"{name}.png")
    assert min(seen.read(_LENGTHS)) > 0
    assert min(seen.read(_SQUEEZED)) > 0.5
    assert seen.read("document.documentElement.scrollWidth") == width
    if width == 1280:
        assert max(seen.read(_HIDDEN)) == 0
    assert seen.fetched == [page]
    assert seen.errors == []


def test_the_browser_notices_what_is_wrong_with_a_page(seen: Browser, tmp_path: Path):
    page, elsewhere = tmp_path / "page.html", "https://dubarr.example.org/picture.png"
    page.write_text(f"""<img src="{elsewhere}"><p>Wrong</p><script>
        console.error("said"); setTimeout(() => {{ throw Error("thrown") }})</script>""")
    seen.open(page.as_uri(), "Wrong")
    assert seen.fetched == [page.as_uri(), elsewhere]
    wrong = ("said", "thrown", "NAME_NOT_RESOLVED")
    assert [word for word in wrong if word not in str(seen.errors)] == []
    (thrown,) = seen.exceptions
    assert "thrown" in thrown
    seen.open("about:blank")
    with pytest.raises(AssertionError, match="has 1 colours"):
        seen.shoot(tmp_path / "blank.png")


_LENGTHS = "[...document.querySelectorAll('.strip rect')].map(e => e.getBoundingClientRect().width)"
_SQUEEZED = "[...document.querySelectorAll('.strip text')].map(e => e.getScreenCTM().a)"
_HIDDEN = "[...document.querySelectorAll('.scroll')].map(e => e.scrollWidth - e.clientWidth)"
