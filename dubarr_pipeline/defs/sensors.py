"""Sensors that start runs: watched folders, the webhook inbox."""

import datetime
import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import dagster as dg

from dubarr_pipeline.config.libraries import Library, is_quiet
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.library_names import DUB, LibraryNames
from dubarr_pipeline.defs.library_sensor import library_sensor
from dubarr_pipeline.defs.runtime.person_runs import is_on_its_way, person_config, person_tags
from dubarr_pipeline.defs.runtime.plan import plan
from dubarr_pipeline.defs.runtime.records import film_tags
from dubarr_pipeline.defs.runtime.run_queue import request_tags
from dubarr_pipeline.defs.runtime.tick_state import TickState
from dubarr_pipeline.defs.tables.plans import VideoPlan
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.library.admission import Refusal
from dubarr_pipeline.library.arrivals import Arrivals, last_tried_s
from dubarr_pipeline.library.background import BackgroundWork
from dubarr_pipeline.library.dub_requests import DubRequest
from dubarr_pipeline.library.scan import Scan, ScanState, scan
from dubarr_pipeline.library.videos import Video
from dubarr_pipeline.library.webhooks.desk import MessageDesk, is_settled, last_looked_s
from dubarr_pipeline.library.webhooks.inbox import Inbox

_INTERVAL_S = 30
_TAKING_IN_S = 20.0
"""Dagster ends a tick after 60 s, and keeps nothing of it; what takes longer goes on beside it."""
_NAMED, _SAID = 5, 2_000
"""Faults of a library that a tick names, and the characters that Dagster keeps of them."""
_PLANNING_S = 10.0
"""Longest wait for the plan of a video."""
_scans = BackgroundWork[Scan]()
_plans = BackgroundWork[VideoPlan]()


@dataclass(slots=True)
class _Tick:
    """One tick of a sensor, with the videos that it found.

    Each comes with its occasion: the signature of its file, or the name of a message. `requests`
    are those of people, by occasion.
    """

    context: dg.SensorEvaluationContext
    settings: Settings
    names: LibraryNames
    arrivals: Arrivals
    found: list[tuple[Video, str]] = field(default_factory=list[tuple[Video, str]])
    due: list[tuple[Video, str]] = field(default_factory=list[tuple[Video, str]])
    requests: dict[str, DubRequest] = field(default_factory=dict[str, DubRequest])
    notes: list[str] = field(default_factory=list[str])

    def note(self, video: Video, occasion: str) -> None:
        """Note a video that was registered, and whether a run would make anything of it."""
        self.found.append((video, occasion))
        asked, end_s = self.requests.get(occasion), self.arrivals.end_s + _PLANNING_S
        if (asked and asked.force) or _is_due(self, video, end_s):
            self.due.append((video, occasion))

    def result(self, cursor: str) -> dg.SensorResult:
        """Return the tick's result: partitions for the videos, and runs where there is work.

        There is one run request per content and request, under whatever names the file appears. The
        run key is the same when a tick is repeated, and another one when a file or a request has
        changed, changed back, or come back.
        """
        summary = [*self.notes, self.arrivals.summary()]
        for line in filter(None, summary):
            self.context.log.warning(line)
        keys = sorted({video.key for video, _ in self.found})
        due = {f"{v.key}/{','.join(v.target_langs)}/{v.profile}": (v, o) for v, o in self.due}
        asked = [video for video, _ in due.values()]
        tags = request_tags(self.context.instance, asked, self.settings)
        requests: list[dg.RunRequest] = []
        for (wish, (video, occasion)), marks in zip(due.items(), tags, strict=True):
            changed_ns = video.work(self.settings.work_dir).video.stat().st_mtime_ns
            facts = f"{occasion} {changed_ns}".encode()
            run_key = f"{wish}/{hashlib.blake2b(facts, digest_size=6).hexdigest()}"
            request = self.requests.get(occasion)
            marks = {**film_tags(video), **(person_tags(request) if request else marks)}
            config = person_config(request, self.names) if request else None
            requests.append(dg.RunRequest(run_key, config, tags=marks, partition_key=video.key))
        said = "; ".join(filter(None, summary))[:_SAID]
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests or not said else said,
            dynamic_partitions_requests=[self.names.videos.build_add_request(keys)] if keys else [],
            cursor=cursor,
        )


def media_folder_sensor(names: LibraryNames) -> dg.SensorDefinition:
    """Return the sensor of a library's folders."""
    return library_sensor(media_folder, names, DUB, _INTERVAL_S, is_on=False)


def webhook_inbox_sensor(names: LibraryNames) -> dg.SensorDefinition:
    """Return the sensor of a library's messages."""
    return library_sensor(webhook_inbox, names, DUB, 10, is_on=False)


def media_folder(
    context: dg.SensorEvaluationContext, settings: Settings, names: LibraryNames
) -> dg.SensorResult:
    """Dub new files in the folders of `[libraries.NAME]` that are unchanged for two scans.

    A video that cannot be dubbed is named in the log of the tick, and tried again when it or its
    subtitles have changed; one that is busy or cannot be read is left for the next tick.
    """
    memory = TickState(settings.work_dir, "media_folder")
    known, end_s = memory.load(context.cursor) or {}, time.monotonic() + _TAKING_IN_S
    tick = _Tick(context, settings, names, Arrivals(settings, end_s))
    states: dict[str, Sequence[str]] = {}
    for number, name in enumerate(settings.libraries):
        # Each library has its share of what is left of the tick.
        now_s = time.monotonic()
        tick.arrivals.end_s = now_s + (end_s - now_s) / (len(settings.libraries) - number)
        states[name] = _look(tick, name, known.get(name, ("", "")))
    for name, fault in tick.arrivals.faults.items():
        tick.notes.append(f"library {name}: nothing is dubbed: {fault}")
    cursor = memory.save(states, context.cursor)
    if tick.arrivals.faults and not tick.found and cursor == context.cursor:
        # Nothing that this tick did is lost, and people see a failure best.
        raise next(iter(tick.arrivals.faults.values()))
    return tick.result(cursor)


def _look(tick: _Tick, name: str, known: Sequence[str]) -> Sequence[str]:
    """Take in the settled videos of one library; return its state for the next tick."""
    library, arrivals = tick.settings.library(name), tick.arrivals
    before, inner = ScanState.parse(*known), tick.settings.inner_libraries(name)
    work = partial(scan, library, before, tick.settings.work_dir, inner=inner)
    key = (name, repr(library), tuple(known))
    seen = _scans.result(key, work, arrivals.end_s - time.monotonic())
    if seen is None:
        tick.notes.append(f"library {name} ({library.path}): its folders are still being listed")
        return known
    gaps = (seen.gone,) if seen.gone else seen.gaps
    more = f"; and {len(gaps) - _NAMED} more" if len(gaps) > _NAMED else ""
    if gaps:
        listed = "; ".join(gaps[:_NAMED]) + more
        tick.notes.append(f"library {name} ({library.path}): {listed}")
    return seen.after(_take_in(tick, seen, name, library)).text()


def _take_in(tick: _Tick, seen: Scan, name: str, library: Library) -> Iterator[str]:
    """Register settled videos; yield the signatures of those with an outcome. Others wait."""
    ready = sorted(seen.ready, key=lambda one: (last_tried_s(one[0]), one[1]))
    if ready and is_quiet(library.quiet_hours, datetime.datetime.now().time()):
        tick.context.log.info("library %s: %d deferred until quiet hours end", name, len(ready))
        return
    for count, (signature, path) in enumerate(ready):
        if tick.arrivals.is_over and count:
            tick.context.log.info("library %s: %d more wait", name, len(ready) - count)
            return
        came = tick.arrivals.take(path, name, signature)
        if isinstance(came, Refusal):
            tick.context.log.warning(
                "library %s: %r is not dubbed: %s", name, str(path), came.reason
            )
            yield signature
        elif came:
            tick.note(came, signature)
            yield signature


def webhook_inbox(
    context: dg.SensorEvaluationContext, settings: Settings, names: LibraryNames
) -> dg.SensorResult:
    """Process the news and requests that `dubarr serve webhooks` received.

    A message leaves the inbox one tick after it was processed, once Dagster has its result.
    """
    memory = TickState(settings.work_dir, "webhook_inbox")
    inbox = Inbox(settings.work_dir)
    recorded = memory.load(context.cursor) or {}
    # A film that was still being copied is looked into again.
    inbox.drop(n for n in recorded if all(is_settled(key, settings) for key in _keys(recorded, n)))
    tick = _Tick(context, settings, names, Arrivals(settings, time.monotonic() + _TAKING_IN_S))
    desk = MessageDesk(settings, tick.arrivals)
    tick.requests = desk.requests
    worked: dict[str, list[str]] = {}
    for name in sorted(inbox.names(), key=lambda each: (last_looked_s(each), each)):
        if tick.arrivals.is_over:
            break
        try:
            came = desk.work(inbox.read(name))
        except ArtifactError as error:
            came = Refusal(str(error))
        if isinstance(came, Refusal):
            context.log.warning("message %s: %s", name, came.reason)
            worked[name] = []
        elif came is not None:
            worked[name] = [video.key for video in came]
            for video in came:
                tick.note(video, name)
    for name, fault in tick.arrivals.faults.items():
        tick.notes.append(f"library {name}: nothing is dubbed: {fault}")
    return tick.result(memory.save(worked, context.cursor))


def _keys(recorded: Any, message: str) -> list[str]:
    """Return the videos of a message that the last tick worked off; none in older cursors."""
    return recorded[message] if isinstance(recorded, dict) else []


def _is_due(tick: _Tick, video: Video, end_s: float) -> bool:
    """Return whether a run would make anything, or fail, and none for the request is on its way."""
    instance, settings, names = tick.context.instance, tick.settings, tick.names
    if is_on_its_way(instance, video, settings, names=names):
        return False
    work = partial(plan, instance, video, settings, names)
    try:
        planned = _plans.result(object(), work, min(_PLANNING_S, end_s - time.monotonic()))
    except OSError as error:
        # The run names it, and hinders no other film.
        tick.context.log.warning("%s: %s", video.key, error)
        return True
    if planned is None:
        # Files of another date are read to be compared; the run does that, and may find no work.
        return True
    return planned.fault is not None or any(step.rerun for step in planned.steps)
