"""Plans of finished videos, kept with what proves that they still hold.

A plan that finds nothing due is kept in the work folder, with a digest of its grounds and one of
what the engines answered. Whoever plans again looks at the grounds, asks the engines, and has the
plan itself made only where one of both is another. Without the file everything is planned anew.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from dubarr_pipeline.config.engine_answers import Question, engine_answer
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.library_names import names_of
from dubarr_pipeline.defs.runtime.home import dagster_home
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline.defs.tables.grounds import Grounds, digest_of
from dubarr_pipeline.defs.tables.plans import StageDecision, VideoPlan
from dubarr_pipeline.defs.tables.store_files import NewestEvents, open_files
from dubarr_pipeline.errors import DubbingError
from dubarr_pipeline.files import write_text
from dubarr_pipeline.library.videos import Video
from dubarr_pipeline.workdir.canonical import json_of
from dubarr_pipeline.workdir.checkpoints import UNCHANGED

_FILE = ".plans.json"


class KeptPlans:
    """The kept plans of a work folder.

    Args:
        settings: of the work folder.
        newest: the last event of each stage in the store, by video.
    """

    def __init__(self, settings: Settings, newest: NewestEvents) -> None:
        self._settings, self._path = settings, settings.work_dir / _FILE
        self._grounds = Grounds(settings, newest)
        self._seen: dict[str, str | None] = {}
        self._answers: dict[tuple[int, Question], str] = {}
        self._kept: dict[str, Any] = {}
        # What cannot be read is made anew.
        with suppress(OSError, ValueError, RecursionError):
            found = json.loads(self._path.read_bytes())
            self._kept = found if isinstance(found, dict) else {}

    def find(self, video: Video) -> VideoPlan | None:
        """Return the plan of a video, if nothing that it was made from has changed."""
        grounds = self._seen[video.key] = self._grounds.of(video)
        kept = self._kept.get(video.key)
        if grounds is None or not isinstance(kept, dict) or kept.get("grounds") != grounds:
            return None
        try:
            questions = [_as_question(each) for each in kept["asked"]]
            if self._answered(video, questions) != kept["answers"]:
                return None
            each = zip(STAGE_NAMES, kept["seconds"], strict=True)
            return VideoPlan(video, tuple(StageDecision(n, False, UNCHANGED, s) for n, s in each))
        # An engine that refuses is heard by who plans anew.
        except (DubbingError, LookupError, TypeError, ValueError):
            return None

    def keep(self, plans: Iterable[VideoPlan]) -> None:
        """Keep those of some new plans at which nothing is due; `find` has looked for all of them.

        A folder that cannot be written keeps none.
        """
        kept: dict[str, Any] = {}
        for plan in plans:
            grounds = self._seen.get(plan.video.key)
            if grounds and plan.steps and all(map(_is_unchanged, plan.steps)):
                answers = {each: json_of(plan.asked[each]) for each in plan.asked}
                kept[plan.video.key] = {
                    "grounds": grounds,
                    "asked": list(answers),
                    "answers": digest_of(list(answers.items())),
                    "seconds": [step.last_seconds for step in plan.steps],
                }
        if kept:
            there = {k: v for k, v in self._kept.items() if (self._settings.work_dir / k).is_dir()}
            self._kept = there | kept
            with suppress(DubbingError, OSError):
                write_text(self._path, json.dumps(self._kept, separators=(",", ":")))

    def _answered(self, video: Video, questions: Iterable[Question]) -> str:
        own = self._settings.for_video(video.profile, video.overrides)
        answers: list[tuple[Question, str]] = []
        for question in questions:
            # Settings live as long as those they are made from.
            known = id(own), question
            if known not in self._answers:
                self._answers[known] = json_of(engine_answer(own, question))
            answers.append((question, self._answers[known]))
        return digest_of(answers)


def kept_plans(settings: Settings) -> KeptPlans | None:
    """Return the kept plans of a work folder.

    None where the store is no store of files as we know them: whether it says the same as before is
    then told by reading all of it.

    Raises:
        SettingsError, DiskFull, NotWritable, WorkspaceError: as `dagster_home`.
        ArtifactError: as `names_of`.
    """
    names = names_of(settings.work_dir)
    # A file that cannot be read is Dagster's to name.
    with open_files(dagster_home(settings.work_dir), names) as files, suppress(sqlite3.Error):
        return KeptPlans(settings, files.newest(names)) if files else None
    return None


def _is_unchanged(step: StageDecision) -> bool:
    return not step.rerun and step.reason == UNCHANGED


def _as_question(found: Any) -> Question:
    """Return a question as JSON has it."""
    if isinstance(found, str):
        return found
    kind, known, pairs = found
    return kind, tuple(known), tuple((source, target) for source, target in pairs)
