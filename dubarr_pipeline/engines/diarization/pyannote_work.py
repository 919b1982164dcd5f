"""pyannote.audio in the engine's child process: a window of sound in, its speakers out."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.engines.interfaces import OnProgress, Progress, Samples, ignore_progress
from dubarr_pipeline.errors import EngineError
from dubarr_pipeline.models.torchaudio_cpu import prepare_torchaudio

_STEPS = ("segmentation", "embeddings")
"""The two parts of the work that take time; each is half of a window's progress."""


@dataclass(frozen=True, slots=True)
class SpeakerCount:
    """How many speakers there are; None where nobody knows."""

    exactly: int | None = None
    at_least: int | None = None
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class WindowSpeakers:
    """Who speaks when in a window.

    Attributes:
        turns: (start, end, speaker) in seconds from the window's beginning; speakers from 0.
        prints: voice print of each speaker, ``(speakers, dimensions)``; rows of zeros where there
            is none.
    """

    turns: tuple[tuple[float, float, int], ...]
    prints: NDArray[np.float64]


class PyannoteWorker:
    """The loaded pipeline.

    Args:
        folder: of the pipeline, with its ``config.yaml``.
        device: ``"cpu"``, ``"mps"`` or ``"cuda:N"``.
        batch: pieces of sound that the networks hear at once.
        exclusive: whether nobody speaks at the same time as another.
    """

    def __init__(self, folder: Path, device: str, batch: int, exclusive: bool = False) -> None:
        os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        prepare_torchaudio()
        # It would decode files by torchcodec, and warns where that is missing; we hand it samples.
        warnings.filterwarnings("ignore", message=r"\s*torchcodec is not installed")
        import torch
        from pyannote.audio import Pipeline

        pipeline: Any = Pipeline.from_pretrained(folder)
        if pipeline is None:
            raise EngineError(f"{folder} holds no pyannote pipeline: pull the model anew")
        pipeline.to(torch.device(device))
        pipeline.segmentation_batch_size = batch
        pipeline.embedding_batch_size = batch
        self._pipeline, self._exclusive = pipeline, exclusive

    def diarize(
        self,
        samples: Samples,
        rate: int,
        count: SpeakerCount,
        on_progress: OnProgress = ignore_progress,
    ) -> WindowSpeakers:
        """Return who speaks when in mono `samples`, ``(samples,)``; progress as a share of 1."""
        import torch

        torch.manual_seed(0)
        waveform = torch.from_numpy(np.ascontiguousarray(samples)[None])
        with torch.inference_mode(), warnings.catch_warnings():
            # Of windows with less speakers than were asked for, and of single frames.
            warnings.simplefilter("ignore")
            found = self._pipeline(
                {"waveform": waveform, "sample_rate": rate},
                num_speakers=count.exactly,
                min_speakers=count.at_least,
                max_speakers=count.at_most,
                hook=_hook(on_progress),
            )
        return self._read(found)

    def _read(self, found: Any) -> WindowSpeakers:
        """Take the library's answer apart: labels become numbers in the order of the prints."""
        labels = {label: i for i, label in enumerate(found.speaker_diarization.labels())}
        chosen = (
            found.exclusive_speaker_diarization if self._exclusive else found.speaker_diarization
        )
        turns = tuple(
            (float(turn.start), float(turn.end), labels[label])
            for turn, _, label in chosen.itertracks(yield_label=True)
        )
        prints = found.speaker_embeddings
        if prints is None or len(prints) < len(labels):
            prints = np.zeros((len(labels), 1))
        return WindowSpeakers(turns, np.nan_to_num(np.asarray(prints, np.float64)))


def _hook(on_progress: OnProgress) -> Any:
    """The library's progress, as a share of the window."""

    def tell(
        step: str,
        _: object,
        file: object = None,  # noqa: ARG001 - the library passes it by name
        total: int | None = None,
        completed: int | None = None,
    ) -> None:
        if step in _STEPS and total and completed is not None:
            share = (_STEPS.index(step) + completed / total) / len(_STEPS)
            on_progress(Progress(min(1.0, share), 1.0, "telling the voices apart"))

    return tell
