"""The gate of a finished film: its state, a person's decision, and the sheet to decide by."""

from collections.abc import Sequence
from pathlib import Path

from dubarr_pipeline.api.planning import find_key
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.gate import record_decision
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.files import write_text
from dubarr_pipeline.library.gate import Gate, gate_of, options_for
from dubarr_pipeline.library.publishing.publish import no_wish
from dubarr_pipeline.library.videos import load_video
from dubarr_pipeline.reports.qc_sheet import qc_sheet as make_sheet
from dubarr_pipeline.reports.report import make_report

__all__ = [
    "Gate",
    "approve",
    "gate",
    "hold",
    "is_due",
    "qc_sheet",
    "write_qc_sheet",
]


def gate(key: str, settings: Settings) -> Gate:
    """Return the state of a film before its gate, by its key, path or a beginning of its key.

    Raises:
        SettingsError: if no video or several match.
        ArtifactError: if a record of its gate is damaged.
    """
    video = load_video(find_key(key, settings), settings.work_dir)
    return gate_of(video.work(settings.work_dir), options_for(video, settings))


def approve(key: str, settings: Settings, by: str, note: str = "") -> Gate:
    """Let a film through its gate, with what is amiss now; return its state.

    The sensor `publishing`, or `api.libraries.publish`, publishes it.

    Raises:
        SettingsError: if no video or several match.
        DubbingError: if the decision cannot be stored.
    """
    video = load_video(find_key(key, settings), settings.work_dir)
    with open_instance(settings.work_dir) as instance:
        return record_decision(instance, video, settings, "approve", by, note)


def hold(key: str, settings: Settings, by: str, note: str) -> Gate:
    """Hold a film until somebody approves it, whatever its figures become; return its state.

    Raises as `approve`.
    """
    video = load_video(find_key(key, settings), settings.work_dir)
    with open_instance(settings.work_dir) as instance:
        return record_decision(instance, video, settings, "hold", by, note)


def is_due(key: str, settings: Settings) -> bool:
    """Return whether a film's library wants it published, its gate apart."""
    return no_wish(load_video(find_key(key, settings), settings.work_dir), settings) is None


def qc_sheet(key: str, settings: Settings, languages: Sequence[str] = ()) -> str:
    """Return the sheet for quality control of a finished film: one page, as HTML.

    Raises:
        SettingsError: if no video or several match.
        ArtifactError: if the film is not finished, or an artifact is damaged.
    """
    video = load_video(find_key(key, settings), settings.work_dir)
    work = video.work(settings.work_dir)
    return make_sheet(make_report(video, work, (), options_for(video, settings)), work, languages)


def write_qc_sheet(
    key: str, settings: Settings, languages: Sequence[str] = (), out: Path | None = None
) -> Path:
    """Write the sheet, ``qc.html`` in the work folder by default, and return its path.

    Raises as `qc_sheet`.
    """
    page = qc_sheet(key, settings, languages)
    path = out or settings.work_dir / find_key(key, settings) / "qc.html"
    write_text(path, page)
    return path
