"""Options of the sections that steer no engine and no algorithm of a lower room."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from dubarr_pipeline.compute.backoff import Backoff
from dubarr_pipeline.text.languages import standard_tag
from dubarr_pipeline.timing.placement import PlacementOptions
from dubarr_pipeline.timing.tempo import TempoLimits
from dubarr_pipeline.timing.windows import WindowOptions

RUNNING_REVIEW = "DUBARR_REVIEW_ADDRESS"
"""Environment variable by which the processes of a server know its review page's address."""
RUNNING_RECEIVER = "DUBARR_RECEIVER_ADDRESS"
"""The same of its receiver of webhooks; empty: there should be one, but its port was taken."""


@dataclass(frozen=True, slots=True)
class AudioOptions:
    """Choice of the audio stream to dub.

    Attributes:
        language: spoken language (BCP-47), where the file names none or a wrong one.
        stream: ffmpeg's number of the audio stream; -1: chosen by rule.
    """

    language: str = ""
    stream: int = -1

    def __post_init__(self) -> None:
        if self.language:
            object.__setattr__(self, "language", standard_tag(self.language))


@dataclass(frozen=True, slots=True)
class ScriptOptions:
    """Comparison of the script with the speech of the film.

    Attributes:
        fit: ``check``: subtitles are laid against the detected speech; those of another cut, speed
            or offset are moved, and those of another film refused. ``off``: all are used as they
            are.
        uncovered_share: share (0-1) of the detected speech that no line covers, from which the
            transcript's check is red.
        unspoken_share: share (0-1) of the lines under which nobody speaks, from which the
            transcript's check is red.
    """

    fit: Literal["check", "off"] = "check"
    uncovered_share: float = 0.1
    unspoken_share: float = 0.05


@dataclass(frozen=True, slots=True)
class SegmentsOptions:
    """Options for drafting, speaking and fitting lines.

    Attributes:
        max_takes: renderings per line, at least 1; the best of them is placed.
        batch_lines: lines that are translated in one call, at least 1.
        neighbours: lines of context before and after, for the translator.
        ready_lines: drafted lines of a language that may wait to be spoken; then drafting pauses.
        llm_concurrency: calls to the translator at once; 0: as many as the engine allows.
        tts_concurrency: calls to the synthesizer at once; 0: as many as the engine allows.
        threads: lines worked on at once; 0: enough to keep both services busy.
        dead_after: failures in a row after which a service counts as dead for this run.
        max_characters: longest text for one synthesis call; 0: the engine's own limit.
        hopeless: tempo (or one over it) beyond which a wording is reworded before it costs a take;
            1: reword every wording that is predicted to need any tempo.
        unlearned: the same bound while no take of the voice has been heard.
        word_error: share (0-1) of a take's words (or letters) that may be heard otherwise; beyond
            it the take is spoken again, and at last the line is flagged. 0: takes are not
            verified.
        casting: ``characters``: every speaker has a voice of their own. ``lektor``: one narrator
            reads all lines, evenly, over the lowered original (``mix.preset`` is then
            ``voice-over``, and its levels are even, unless they are set).
        narrator: name of the narrator's voice; empty: a man's, made for the language.
        reference_per_line: engines that clone a voice take a clean sample of the line itself where
            there is one: it keeps the line's mood, but the voice drifts from line to line. Off,
            they hold one reference per speaker.
        least_placed: share (0-1) of a language's lines, and of their time, that must be placed;
            below it the language failed: it gets no track, and the film is not published.
        slowest_speech: lowest rate that an engine may be asked for, over its natural one.
        fastest_speech: highest rate that an engine may be asked for, over its natural one.
    """

    max_takes: int = 3
    batch_lines: int = 10
    neighbours: int = 2
    ready_lines: int = 240
    llm_concurrency: int = 0
    tts_concurrency: int = 0
    threads: int = 0
    dead_after: int = 6
    max_characters: int = 0
    hopeless: float = 1.0
    unlearned: float = 1.6
    word_error: float = 0.6
    casting: Literal["characters", "lektor"] = "characters"
    narrator: str = ""
    reference_per_line: bool = False
    least_placed: float = 0.5
    slowest_speech: float = 0.8
    fastest_speech: float = 1.25
    window: WindowOptions = field(default_factory=WindowOptions)
    tempo: TempoLimits = field(default_factory=TempoLimits)
    placement: PlacementOptions = field(default_factory=PlacementOptions)


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """Address and limits of the webhook receiver.

    Attributes:
        host: address to listen on; anything but loopback is your own decision.
        port: port, 0-65535; 0: a free one.
        most_body_kb: longest request in kB; longer ones are refused (413).
        timeout_s: limit for each request's head and body, in seconds; slower senders are cut.
        wait_hours: time that a film may take to appear, to be copied to its end and to get its
            subtitles, after it was reported, in hours.
        folders: folders outside of the libraries from which films may be requested by REST;
            absolute, or from ``~`` on.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    most_body_kb: int = 8192
    timeout_s: float = 10.0
    wait_hours: float = 24.0
    folders: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "folders", tuple(each.expanduser() for each in self.folders))
        for each in self.folders:
            # Another would be of the folder in which the server happens to be started.
            if not each.is_absolute() or "\0" in str(each):
                raise ValueError(f"folders: {str(each)!r} must be absolute, or begin with ~")


@dataclass(frozen=True, slots=True)
class ReviewOptions:
    """Address of the review page.

    Attributes:
        host: address to listen on; anything but loopback is your own decision.
        port: port, 0-65535; 0: a free one.
        address: address under which people reach it, for links and behind a proxy, such as
            ``https://dubarr.example.org``; empty: that of the server while it runs.
    """

    host: str = "127.0.0.1"
    port: int = 8766
    address: str = ""

    def __post_init__(self) -> None:
        if self.address and not self.address.startswith(("http://", "https://")):
            raise ValueError("address must begin with http:// or https://")
        object.__setattr__(self, "address", self.address.rstrip("/"))

    def link(self, key: str) -> str:
        """Return the address of a film's page; empty where no server is known."""
        address = self.address or os.environ.get(RUNNING_REVIEW, "")
        return f"{address}/review/{key}" if address else ""


@dataclass(frozen=True, slots=True)
class LoggingOptions:
    """Form of the logs.

    Attributes:
        format: ``text``: for people. ``json``: every process writes one JSON object a line, with
            time, level, logger, message, and film, stage, run and line where they are known.
    """

    format: Literal["text", "json"] = "text"


@dataclass(frozen=True, slots=True)
class FailureOptions:
    """Retries of failed runs, and notifications about them.

    Attributes:
        retries: further attempts at a run that failed for a transient cause; 0: none.
        first_pause_minutes: pause before the first retry, in minutes; doubled each time.
        longest_pause_minutes: longest pause between retries, in minutes.
        notify: Apprise addresses to notify of failures and of films that their gate holds
            (``mailto://``, ``ntfy://``, ``discord://`` and a hundred more); those in
            ``$DUBARR_NOTIFY`` are added.
    """

    retries: int = 3
    first_pause_minutes: float = 10.0
    longest_pause_minutes: float = 720.0
    notify: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.first_pause_minutes > self.longest_pause_minutes:
            raise ValueError("first_pause_minutes must be at most longest_pause_minutes")

    def pause_s(self, attempt: int) -> float:
        """Return the seconds before another try, after `attempt` tries, the first included."""
        pauses = Backoff(60.0 * self.first_pause_minutes, 60.0 * self.longest_pause_minutes)
        return pauses.pause_s(attempt)


@dataclass(frozen=True, slots=True)
class GateOptions:
    """Bounds that a track must keep, so that its film is published without a person's approval.

    A film with a track beyond any of them is held: finished, not published, until `dubarr approve`.

    Attributes:
        failed_share: share (0-1) of the lines that failed, or are not heard in the decoded track.
        undubbed_share: share (0-1) of the detected speech that no line covers: it stays undubbed.
        undubbed_s: the same in seconds; 0: no limit.
        muted_s: speech with neither a dub nor the original voice in the decoded track, in seconds.
        word_error: mean share (0-1) of a line that the recogniser heard otherwise, over the takes
            that it verified.
        overlaps: times that a speaker talks over themselves.
        tempo_share: share (0-1) of the placed lines whose tempo is beyond ±10 %; one line holds no
            film of several, unless the bound is 0.
        loudness_miss_lu: distance of the decoded track from its target loudness, in LU.
        untranslated_share: share (0-1) of the placed lines that are in the language of the source,
            or in another one than the track's.
        approve_after_days: days after which a film that only the bounds hold is approved by itself;
            0: never.
    """

    failed_share: float = 0.05
    undubbed_share: float = 0.15
    undubbed_s: float = 0.0
    muted_s: float = 1.0
    word_error: float = 0.35
    overlaps: int = 0
    tempo_share: float = 0.25
    loudness_miss_lu: float = 1.0
    untranslated_share: float = 0.02
    approve_after_days: float = 0.0


@dataclass(frozen=True, slots=True)
class DiskOptions:
    """Limits for the disk that holds the work folder.

    Attributes:
        least_free_gb: free space that must remain for a stage to start, in billions of bytes; new
            videos wait.
        most_gb: size of the work folder above which no new video starts, in billions of bytes; 0:
            no limit.
    """

    least_free_gb: float = 0.1
    most_gb: float = 0.0


@dataclass(frozen=True, slots=True)
class HousekeepingOptions:
    """Retention of files that `dubarr prune` and the daily job remove.

    Attributes:
        keep_runs_days: days to keep Dagster's record of finished runs; runs behind current results
            and each video's last run are kept anyway; 0: forever.
        keep_temporary_days: days to keep scratch files of a video without a running process.
        keep_logs_days: days to keep the logs of services, and what became of requests by REST.
        forget_deleted_after_days: days to keep the work folder of a video whose file is missing
            while its library is there; a person's corrections stay; 0: forever.
    """

    keep_runs_days: float = 30.0
    keep_temporary_days: float = 7.0
    keep_logs_days: float = 30.0
    forget_deleted_after_days: float = 30.0


@dataclass(frozen=True, slots=True)
class StepResources:
    """Room that a stage's pod has under Kubernetes.

    Attributes:
        cpus: processors that it asks for; more may be used where they are idle.
        memory_gb: memory that it asks for, and beyond which it is ended, in billions of bytes.
        gpus: devices; 0: none.
        gpu_resource: the devices' name in the cluster.
    """

    cpus: float = 2.0
    memory_gb: float = 8.0
    gpus: int = 0
    gpu_resource: str = "nvidia.com/gpu"


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Work of several machines: where stages run, and how long a silent machine is believed in.

    Attributes:
        steps: ``in-process``: a film's run works at its stages itself. ``celery``: it sends them to
            Celery's workers, by the broker that ``$CELERY_BROKER_URL`` names. ``kubernetes``: each
            stage is a job of the cluster that the run is in.
        lease_s: time without a sign of life after which a film's stage counts as lost, in seconds;
            it is tried again elsewhere, and what the silent process still writes is refused.
        resend_s: time after which a stage that no worker took is sent to the queue again, in
            seconds: the broker may have lost it.
        work_store: address of the folder in an object store, ``s3://bucket/work``, by which
            machines without a shared volume hand each other the work folders; empty: the work
            folder is on a shared volume, or on one machine.
        store_every_s: pause between two looks for new files while a stage works, in seconds.
        gpu_step: room of the stages that load models, under Kubernetes.
        cpu_step: room of the other stages, under Kubernetes.
    """

    steps: Literal["in-process", "celery", "kubernetes"] = "in-process"
    lease_s: float = 60.0
    resend_s: float = 120.0
    work_store: str = ""
    store_every_s: float = 1.0
    gpu_step: StepResources = field(default_factory=lambda: StepResources(gpus=1))
    cpu_step: StepResources = field(default_factory=StepResources)

    def __post_init__(self) -> None:
        if self.work_store and "://" not in self.work_store:
            raise ValueError("work_store must begin with a scheme, like s3://")
        # It appears in messages.
        if urlsplit(self.work_store).password is not None:
            raise ValueError("work_store must hold no password: docs/storage.md says where keys go")


ONE_MACHINE = WorkerOptions()
"""All stages of a film in its run's own process."""
