"""pyannote.audio in the engine's child process: a window of sound in, its speakers out."""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.compute.devices import prepare_torchaudio
from dubarr_pipeline.engines.interfaces import Samples
from dubarr_pipeline.errors import EngineError
from dubarr_pipeline.progress import OnProgress, Progress, ignore_progress

_STEPS = ("segmentation", "embeddings")
"""The two parts of the work that take time; each is half of a window's progress."""


@dataclass(frozen=True, slots=True)
class WindowSpeakers:
    """Turns of the speakers in a window.

    Attributes:
        turns: (start, end, speaker) in seconds from the window's beginning; speakers from 0.
        embeddings: of each speaker, ``(speakers, dimensions)``; rows of zeros where there
            is none.
    """

    turns: tuple[tuple[float, float, int], ...]
    embeddings: NDArray[np.float64]


class PyannoteWorker:
    """The loaded pipeline; `exclusive`: nobody speaks at the same time as another."""

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
        count: Mapping[str, int],
        on_progress: OnProgress = ignore_progress,
    ) -> WindowSpeakers:
        """Return who speaks when in mono `samples`, ``(samples,)``; progress as a share of 1.

        `count` bounds the number of speakers: num_speakers, min_speakers, max_speakers.
        """
        import torch

        def tell(
            step: str,
            *_: object,
            total: int | None = None,
            completed: int | None = None,
            **__: object,
        ) -> None:
            if step in _STEPS and total and completed is not None:
                share = (_STEPS.index(step) + completed / total) / len(_STEPS)
                on_progress(Progress(min(1.0, share), 1.0, "telling the voices apart"))

        torch.manual_seed(0)
        waveform = torch.from_numpy(np.ascontiguousarray(samples)[None])
        with torch.inference_mode(), warnings.catch_warnings():
            # Of windows with less speakers than were asked for, and of single frames.
            warnings.simplefilter("ignore")
            found = self._pipeline({"waveform": waveform, "sample_rate": rate}, **count, hook=tell)
        # Labels become numbers in the order of the embeddings.
        labels = {label: i for i, label in enumerate(found.speaker_diarization.labels())}
        chosen = (
            found.exclusive_speaker_diarization if self._exclusive else found.speaker_diarization
        )
        turns = tuple(
            (float(turn.start), float(turn.end), labels[label])
            for turn, _, label in chosen.itertracks(yield_label=True)
        )
        embeddings = found.speaker_embeddings
        if embeddings is None or len(embeddings) < len(labels):
            embeddings = np.zeros((len(labels), 1))
        return WindowSpeakers(turns, np.nan_to_num(np.asarray(embeddings, np.float64)))
