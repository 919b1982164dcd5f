"""The tiny Demucs on a pretended GPU whose memory runs out, or whose process is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import ClassVar

import torch

from dubarr_pipeline.compute.oom_fallback import EngineConfiguration
from dubarr_pipeline.engines.interfaces import Samples
from dubarr_pipeline.engines.separation.demucs_worker import DemucsModel


class OnPretendedGpu(DemucsModel):
    """Works on the CPU, whatever it is told; `device` is what it was told."""

    fits: ClassVar[Callable[[EngineConfiguration], bool]]

    def __init__(self, folder: str, device: str) -> None:
        super().__init__(folder, "cpu")
        self.device = device

    def voices(self, sounds: Samples, precision: str, window_s: float | None) -> Samples:
        configuration = EngineConfiguration(self.device, len(sounds), precision, window_s)
        if self.device != "cpu" and not type(self).fits(configuration):
            self.give_up()
        return super().voices(sounds, precision, window_s)

    def give_up(self) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


class FitsOneWindow(OnPretendedGpu):
    fits = staticmethod(lambda configuration: configuration.batch == 1)


class FitsHalfNumbers(OnPretendedGpu):
    fits = staticmethod(lambda configuration: configuration.precision == "float16")


class FitsSmallWindows(OnPretendedGpu):
    fits = staticmethod(
        lambda configuration: configuration.window_s is not None and configuration.window_s < 2
    )


class FitsNothing(OnPretendedGpu):
    fits = staticmethod(lambda _: False)


class IsKilled(FitsOneWindow):
    def give_up(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
