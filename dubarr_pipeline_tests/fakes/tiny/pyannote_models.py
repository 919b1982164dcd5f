"""Networks that tell tones apart exactly: real Model subclasses of pyannote.audio, untrained.

Voice 1 sounds between 100 and 400 Hz, voice 2 up to 800, voice 3 up to 1600, voice 4 above. A band
is a voice that speaks where it has a share of the loudest band's power; at most two speak at once.
Imported only where pyannote.audio is loaded: in the engine's child.
"""

from __future__ import annotations

import os
from itertools import combinations, pairwise
from typing import Any

import torch
from pyannote.audio.core.model import Model
from torch import nn
from torch.nn import functional

from dubarr_pipeline_tests.fakes.tiny.pyannote_names import MOST_AT_ONCE

HOP, WINDOW = 320, 640
EDGES = (4, 16, 32, 64, 160)
"""Borders of the bands, in bins of 25 Hz."""
SILENT = 1.0
"""Power below which nobody speaks."""
TOGETHER = 0.1
"""Share of the loudest band's power from which another band is a second voice."""
_CLASSES = [(), (0,), (1,), (2,), *combinations(range(3), 2)]


def bands(waveforms: torch.Tensor) -> torch.Tensor:
    """Power by band: ``(batch, 1, samples)`` to ``(batch, frames, 4)``."""
    frames = waveforms.squeeze(1).unfold(-1, WINDOW, HOP)
    spectrum = torch.fft.rfft(frames * torch.hann_window(WINDOW)).abs().pow(2)
    pairs = pairwise(EDGES)
    return torch.stack([spectrum[..., a:b].sum(-1) for a, b in pairs], -1)


class _Banded(Model):
    def __init__(self, sample_rate: int = 16000, num_channels: int = 1, task: Any = None) -> None:
        super().__init__(sample_rate=sample_rate, num_channels=num_channels, task=task)
        self.save_hyperparameters("sample_rate", "num_channels")
        self.weight = nn.Linear(1, 1)

    def num_frames(self, num_samples: int) -> int:
        return (num_samples - WINDOW) // HOP + 1

    def receptive_field_size(self, num_frames: int = 1) -> int:
        return WINDOW + (num_frames - 1) * HOP

    def receptive_field_center(self, frame: int = 0) -> int:
        return WINDOW // 2 + frame * HOP

    def check_memory(self, batch: int) -> None:
        most = int(os.environ.get(MOST_AT_ONCE, "0"))
        if most and batch > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


class BandSegmentation(_Banded):
    """Who speaks in each frame; voices 3 and 4 share a place, as no window has room for four."""

    @property
    def dimension(self) -> int:
        return len(_CLASSES)

    def build(self) -> None:
        self.activation = self.default_activation()

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        self.check_memory(len(waveforms))
        found = bands(waveforms)
        power = torch.cat([found[..., :2], found[..., 2:].amax(-1, keepdim=True)], -1)
        loudest = power.amax(-1, keepdim=True)
        speaking = (power >= TOGETHER * loudest) & (loudest >= SILENT)
        scores = torch.full((*power.shape[:2], len(_CLASSES)), -20.0)
        order = power.argsort(-1, descending=True)
        for number, voices in enumerate(_CLASSES):
            wanted = torch.zeros_like(speaking)
            wanted[..., list(voices)] = True
            two = speaking & ((order[..., :2, None] == torch.arange(3)).any(-2))
            scores[..., number] = torch.where((two == wanted).all(-1), 0.0, -20.0)
        return functional.log_softmax(scores, -1)


class BandEmbedding(_Banded):
    """A voice print of four numbers: how its power lies in the bands."""

    @property
    def dimension(self) -> int:
        return 4

    def forward(self, waveforms: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        self.check_memory(len(waveforms))
        power = bands(waveforms)
        if weights is None:
            weights = torch.ones(power.shape[:2])
        share = functional.interpolate(weights[:, None].float(), size=power.shape[1])[:, 0, :, None]
        mean = torch.log((power * share).sum(1) / (share.sum(1) + 1e-6) + 1e-3)
        return mean - mean.mean(-1, keepdim=True)
