"""Twenty films by webhooks, requests and watched folders together; nobody lends a hand."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest

from dubarr_pipeline.config.options import WebhookOptions
from dubarr_pipeline.config.settings import Settings, load_settings
from dubarr_pipeline.definitions import defs
from dubarr_pipeline.defs.library_names import PLAIN
from dubarr_pipeline.defs.publishing import publishing_sensor
from dubarr_pipeline.defs.resources import DubarrResource
from dubarr_pipeline.defs.runtime.status import task_table
from dubarr_pipeline.defs.sensors import media_folder_sensor, webhook_inbox_sensor
from dubarr_pipeline.defs.tables.rows import Task
from dubarr_pipeline.library.publishing.records import read_publication
from dubarr_pipeline.library.videos import last_at
from dubarr_pipeline.library.webhooks.inbox import Inbox
from dubarr_pipeline.library.webhooks.server import webhook_server
from dubarr_pipeline.workdir.layout import exclusive
from dubarr_pipeline_tests.fixtures.bench import Film, Said, sidecar, srt, write_config
from dubarr_pipeline_tests.fixtures.film_shelf import make_shelf
from dubarr_pipeline_tests.fixtures.jellyfin import KEY, StandInJellyfin

media_folder = media_folder_sensor(PLAIN)
webhook_inbox = webhook_inbox_sensor(PLAIN)
publishing = publishing_sensor(PLAIN)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
TOKEN = "a token of more than sixteen letters"
SHORT = Film(lines=(Said(0.2, "Good day.", 1.0),), length_s=1.2)
SPANISH = srt((Said(0.2, "Buenos días.", 1.0),))
MOVIES = [f"Movie {n:02} ({2000 + n})" for n in range(1, 9)]
EPISODES = [f"Show - S01E{n:02}" for n in range(1, 9)]
WISHES = [f"Wish {n:02} ({1990 + n})" for n in range(1, 5)]
GONE, NEVER = "Gone (1980)", "Show - S01E09"
BETTER = ["Movie 01 (2001) again", "Show - S01E02 - Better"]
MOST_TICKS = 12


@dataclass
class Household:
    """Two libraries, the receiver, a media server, and the daemon's part played by `tick`.

    Attributes:
        seen: run keys that were asked for, which Dagster starts once.
        originals: every film's bytes, as a digest, by path.
    """

    root: Path
    instance: dg.DagsterInstance
    jellyfin: StandInJellyfin
    url: str = ""
    cursors: dict[str, str | None] = field(default_factory=dict[str, str | None])
    seen: set[str] = field(default_factory=set[str])
    failed: list[str] = field(default_factory=list[str])
    originals: dict[Path, str] = field(default_factory=dict[Path, str])

    @property
    def movies(self) -> Path:
        return self.root / "movies"

    @property
    def show(self) -> Path:
        return self.root / "series" / "Show" / "Season 01"

    @property
    def settings(self) -> Settings:
        return load_settings(self.root / "dubarr.toml", self.root / "work")

    def configure(self) -> None:
        languages = {"target_langs": ["es"]}
        tables: dict[str, dict[str, Any]] = {
            "synthesis": {"engine": "tone"},
            "libraries.movies": {"path": str(self.movies), **languages},
            "libraries.movies.publish": {"mode": "beside"},
            "libraries.series": {"path": str(self.root / "series"), **languages},
            "libraries.series.publish": {"mode": "tree", "to": str(self.root / "out")},
            "libraries.series.path_mappings": {'"/tv"': str(self.root / "series")},
            "rescans.jellyfin": {
                "kind": "jellyfin",
                "url": self.jellyfin.url,
                "token_variable": "JELLYFIN_KEY",
                "backoff_s": 0.01,
            },
        }
        write_config(self.root / "dubarr.toml", tables)

    def put(self, film: Path, folder: Path, name: str, words: bool = True) -> Path:
        """Put a film there, as it is to stay."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.mkv"
        shutil.copy(film, path)
        self.originals[path] = digest(path)
        if words:
            shutil.copy(sidecar(film, "en"), sidecar(path, "en"))
            sidecar(path, "es").write_text(SPANISH, encoding="utf-8")
        return path

    def move(self, path: Path, name: str) -> Path:
        """Give a film another name, and its subtitles with it."""
        new = path.with_name(f"{name}.mkv")
        for language in ("en", "es"):
            sidecar(path, language).rename(sidecar(new, language))
        path.rename(new)
        self.originals[new] = self.originals.pop(path)
        return new

    def delete(self, path: Path) -> None:
        for each in (path, sidecar(path, "en"), sidecar(path, "es")):
            each.unlink()
        self.originals.pop(path)

    def tell(self, sender: str, document: dict[str, Any], status: int = 200) -> None:
        headers = {"X-Dubarr-Token": TOKEN}
        answer = httpx.post(f"{self.url}/{sender}", json=document, headers=headers)
        assert answer.status_code == status, answer.text

    def tick(self) -> int:
        """Let every sensor look once, and work off what they ask for; return how much that was."""
        asked = 0
        for sensor, job in ((webhook_inbox, "dub"), (media_folder, "dub"), (publishing, "publish")):
            result = self._look(sensor)
            for added in result.dynamic_partitions_requests or []:
                self.instance.add_dynamic_partitions("videos", list(added.partition_keys))
            for request in result.run_requests or []:
                if str(request.run_key) not in self.seen:
                    self.seen.add(str(request.run_key))
                    asked += 1
                    self._run(job, request)
        return asked

    def _look(self, sensor: dg.SensorDefinition) -> dg.SensorResult:
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(sensor.name),
            resources={"dubarr": self._resource()},
        ) as context:
            result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursors[sensor.name] = result.cursor
        return result

    def _resource(self) -> DubarrResource:
        config, work = self.root / "dubarr.toml", self.root / "work"
        return DubarrResource(config_file=str(config), work_dir=str(work))

    def _run(self, job: str, request: dg.RunRequest) -> None:
        where = {"config_file": self._resource().config_file, "work_dir": self._resource().work_dir}
        ran = defs.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            tags=dict(request.tags),
            raise_on_error=False,
            run_config={
                **request.run_config,
                "resources": {"dubarr": {"config": where}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
        )
        if not ran.success:
            self.failed.append(str(request.run_key))

    def until_quiet(self) -> None:
        """Tick until two ticks in a row find nothing to do."""
        idle = 0
        for _ in range(MOST_TICKS):
            idle = 0 if self.tick() else idle + 1
            if idle == 2:
                return
        raise AssertionError("it never comes to rest")

    def tasks(self) -> dict[Path, Task]:
        """The task of every film that is there."""
        work = self.root / "work"
        # An earlier release has the same path.
        found = {path: video.key for path in self.originals if (video := last_at(path, work))}
        listed = task_table(self.instance, work, found.values(), self.settings)
        return dict(zip(found, listed, strict=True))

    def results(self) -> list[Path]:
        """Everything that was published."""
        return sorted(
            [*self.movies.rglob("* - dubbed.mkv"), *(self.root / "out").rglob("*.mkv")],
            key=lambda path: path.name,
        )


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def household(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Household]:
    monkeypatch.setenv("JELLYFIN_KEY", KEY)
    found = Household(tmp_path, dg.DagsterInstance.ephemeral(str(tmp_path)), StandInJellyfin())
    found.configure()
    for folder in (found.movies, found.show):
        folder.mkdir(parents=True)
    options = WebhookOptions(port=0, timeout_s=30.0)
    server = webhook_server(found.settings, options, TOKEN)
    found.url = server.url
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield found
    server.stop()
    thread.join()
    server.close()
    found.jellyfin.stop()


def test_twenty_films_are_dubbed_and_published_without_a_hand(
    household: Household, tmp_path: Path
) -> None:
    names = [*MOVIES, *EPISODES, *WISHES, GONE, *BETTER]
    (tmp_path / "stock").mkdir()
    stock = dict(zip(names, make_shelf(tmp_path / "stock", names, SHORT), strict=True))
    tv = "/tv/Show/Season 01"
    paths = {n: household.put(stock[n], household.movies, n) for n in (*MOVIES[:-1], *WISHES, GONE)}
    paths |= {n: household.put(stock[n], household.show, n) for n in EPISODES[:-2]}
    # Its words come later; one episode is told before it is there, and one while it is copied.
    paths[MOVIES[7]] = household.put(stock[MOVIES[7]], household.movies, MOVIES[7], words=False)
    half = household.show / f"{EPISODES[7]}.mkv"
    whole = stock[EPISODES[7]].read_bytes()
    half.write_bytes(whole[: len(whole) // 2])
    files = [{"path": f"{tv}/{name}.mkv"} for name in EPISODES]
    household.tell("sonarr", {"eventType": "ImportComplete", "episodeFiles": files})
    household.tell("generic", {"paths": [str(paths[name]) for name in WISHES]})
    never = {"eventType": "Download", "episodeFile": {"path": f"{tv}/{NEVER}.mkv"}}
    household.tell("sonarr", never)

    household.until_quiet()
    tasks = household.tasks()
    waiting = {paths[MOVIES[7]]}
    assert {path: task.status for path, task in tasks.items()} == dict.fromkeys(
        household.originals.keys() - waiting, "DONE"
    )
    assert len(household.results()) == len(household.originals) - 1
    assert not household.jellyfin.told
    assert len(Inbox(household.settings.work_dir).names()) == 3, "those that are not there yet"

    # Late subtitles; the missing episode; the rest of the other one; one that never comes.
    subs = household.movies / "Subs"
    subs.mkdir()
    shutil.copy(sidecar(stock[MOVIES[7]], "en"), subs / f"{MOVIES[7]}.en.srt")
    for name in EPISODES[6:]:
        paths[name] = household.put(stock[name], household.show, name)
    household.tell("sonarr", {**never, "eventType": "EpisodeFileDelete"})
    # An upgrade under the same name, and one under another.
    household.put(stock[BETTER[0]], household.movies, MOVIES[0])
    household.delete(paths.pop(EPISODES[1]))
    household.put(stock[BETTER[1]], household.show, BETTER[1])
    better = {"path": f"{tv}/{BETTER[1]}.mkv"}
    replaced = {"deletedFiles": [{"path": f"{tv}/{EPISODES[1]}.mkv"}], "isUpgrade": True}
    household.tell("sonarr", {"eventType": "Download", "episodeFile": better, **replaced})
    # New names, seen in the folder and told; and a film that is deleted.
    busy = last_at(paths[MOVIES[1]], household.settings.work_dir)
    assert busy is not None
    renamed = household.move(paths.pop(MOVIES[1]), f"{MOVIES[1]} Remastered")
    new = {"path": f"{tv}/Show - 1x03 - Third.mkv", "previousPath": f"{tv}/{EPISODES[2]}.mkv"}
    household.move(paths.pop(EPISODES[2]), "Show - 1x03 - Third")
    household.tell("sonarr", {"eventType": "Rename", "renamedEpisodeFiles": [new]})
    household.delete(paths.pop(GONE))
    # Somebody works on one of them.
    with exclusive(busy.work(household.settings.work_dir)):
        for _ in range(2):
            household.tick()
        assert renamed not in household.tasks(), "it is left for the next tick"
    household.jellyfin.start()
    household.until_quiet()

    tasks = household.tasks()
    assert len(tasks) == 20
    assert {path.name: task.status for path, task in tasks.items()} == {
        path.name: "DONE" for path in household.originals
    }
    assert household.failed == []
    # Each lies in one place, by its digest; originals and their dates are as they were.
    published: set[Path] = set()
    for task in tasks.values():
        publication = read_publication(task.video.work(household.settings.work_dir))
        assert publication is not None
        (file,) = publication.files
        assert file.proven(), file.path
        published.add(file.path)
    assert published <= {*household.results()}
    assert {path: digest(path) for path in household.originals} == household.originals
    left = {*household.results()} - published
    assert {path.name for path in left} == {f"{GONE} - dubbed.mkv"}
    assert {str(path) for path in published} <= {*household.jellyfin.told}
    assert household.jellyfin.refused == []
    assert not list((household.settings.work_dir / ".untold").glob("*.json"))
    inbox = Inbox(household.settings.work_dir)
    (waits,) = [inbox.read(name).event for name in inbox.names()]
    assert getattr(waits, "path", "").endswith(f"{NEVER}.mkv"), "for 24 hours"
