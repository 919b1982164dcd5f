"""The whole way in every mode: dubbed in this process, published, told true, taken back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from dubarr_pipeline.api.dubbing import Attempt, Watch, dub_videos, retry_videos
from dubarr_pipeline.api.libraries import publish, take_back
from dubarr_pipeline.api.tasks import list_tasks
from dubarr_pipeline.config.settings import Settings, load_settings
from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline_tests.fixtures.bench import write_config
from dubarr_pipeline_tests.fixtures.film_shelf import make_shelf

pytestmark = pytest.mark.slow
NAME = "Show - S01E01 - Pilot"
WISHES = {
    "beside": ({"mode": "beside"}, f"films/{NAME} - dubbed.mkv"),
    "tree": ({"mode": "tree", "to": "ROOT/out"}, f"out/{NAME}.mkv"),
    "sidecar": ({"mode": "sidecar"}, f"films/{NAME}.es.mka"),
    "store": ({"mode": "tree", "url": "file://ROOT/shelf"}, f"shelf/{NAME}.mkv"),
    "replace": ({"mode": "replace"}, f"films/{NAME}.mkv"),
}


@dataclass
class House:
    """A library with one episode."""

    root: Path
    film: Path

    def settings(self, wish: dict[str, str]) -> Settings:
        films = {"path": str(self.root / "films"), "target_langs": ["es"]}
        said = {name: value.replace("ROOT", str(self.root)) for name, value in wish.items()}
        tables = {"libraries.films": films, "libraries.films.publish": said}
        return load_settings(write_config(self.root / "dubarr.toml", tables), self.root / "work")

    def dub(self, settings: Settings) -> Attempt:
        (attempt,) = dub_videos([self.film], ("es",), settings, Watch())
        return attempt

    def films(self) -> set[str]:
        found = {path for path in self.root.rglob("*.mk*") if path.is_file()}
        shown = {path.relative_to(self.root) for path in found}
        return {p.as_posix() for p in shown if p.parts[0] != "work" and "originals" not in str(p)}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return new_house(tmp_path_factory.mktemp("house"))


def new_house(root: Path) -> House:
    """Return a house whose episode was never dubbed."""
    return House(root, make_shelf(root / "films", [NAME])[0])


@pytest.mark.parametrize("mode", WISHES)
def test_a_film_that_is_dubbed_lies_where_its_library_wants_it(house: House, mode: str):
    wish, place = WISHES[mode]
    settings = house.settings(wish)
    done = house.dub(settings)
    assert not isinstance(done, Exception), done
    assert done.key.startswith("s01e01-show-pilot-")
    assert [each.removeprefix("file://") for each in done.published] == [str(house.root / place)]
    assert house.films() == {f"films/{NAME}.mkv", place}
    (task,) = list_tasks(settings)
    assert (task.status, task.cause) == ("DONE", None)


def test_a_film_in_whose_place_its_dub_lies_is_asked_for_by_that_name(tmp_path: Path):
    """The dub is not dubbed again, and the film gets its place back when it is wished elsewhere."""
    house = new_house(tmp_path)
    content = house.film.read_bytes()
    keys: set[str] = set()
    for mode in ("replace", "replace", "sidecar", "replace", "beside"):
        wish, place = WISHES[mode]
        done = house.dub(house.settings(wish))
        assert not isinstance(done, Exception), done
        keys.add(done.key)
        assert house.films() == {f"films/{NAME}.mkv", place}
        assert (house.film.read_bytes() == content) == (mode != "replace")
    assert len(keys) == 1


def test_it_is_taken_back_and_given_again_and_what_is_in_the_way_is_told(tmp_path: Path):
    house = new_house(tmp_path)
    settings = house.settings({"mode": "replace"})
    house.dub(settings)
    (task,) = list_tasks(settings)
    assert take_back(task.video.key, settings) == (task.video.key, house.film)
    assert house.films() == {f"films/{NAME}.mkv"}
    settings = house.settings({"mode": "beside"})
    assert [task.status for task in list_tasks(settings)] == ["DONE"], "a person's wish"
    place = house.film.with_name(f"{NAME} - dubbed.mkv")
    place.write_bytes(b"of others")
    with pytest.raises(SettingsError, match="was not written by dubarr"):
        publish(task.video.key, settings)
    (task,) = list_tasks(settings)
    assert task.status == "DONE, not published"
    assert "was not written by dubarr" in str(task.cause)
    (failed,) = retry_videos([], settings, Watch())
    assert isinstance(failed, SettingsError)
    assert "is dubbed, but not published" in str(failed)
    place.unlink()
    (done,) = retry_videos([], settings, Watch())
    assert not isinstance(done, Exception)
    assert done.published == (str(place),)
    assert [task.status for task in list_tasks(settings)] == ["DONE"]
