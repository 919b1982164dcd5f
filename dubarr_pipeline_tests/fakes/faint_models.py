"""The tiny Demucs on a pretended GPU whose memory runs out, or whose process is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import ClassVar

from dubarr_pipeline.compute.oom_fallback import EngineConfiguration
from dubarr_pipeline.engines.interfaces import Samples
from dubarr_pipeline.engines.separation.demucs_worker import DemucsModel, ModelShape
from dubarr_pipeline_tests.fakes.tiny.demucs import RATE, WINDOW_S


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own, whose import takes two seconds."""


class OnPretendedGpu(DemucsModel):
    """Works on the CPU, whatever it is told; loads nothing where it does not fit.

    Attributes:
        device: what it was told.
    """

    fits: ClassVar[Callable[[EngineConfiguration], bool]]

    def __init__(self, folder: str, device: str) -> None:
        self.folder, self.device = folder, device

    def shape(self) -> ModelShape:
        return ModelShape(RATE, 2, WINDOW_S * RATE)

    def voices(self, sounds: Samples, precision: str, window_s: float | None) -> Samples:
        configuration = EngineConfiguration(self.device, len(sounds), precision, window_s)
        if self.device != "cpu" and not type(self).fits(configuration):
            self.give_up()
        super().__init__(self.folder, "cpu")
        assert super().shape() == self.shape()
        return super().voices(sounds, precision, window_s)

    def give_up(self) -> None:
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


class FitsOneWindow(OnPretendedGpu):
    """Meets the error of torch itself."""

    fits = staticmethod(lambda configuration: configuration.batch == 1)

    def give_up(self) -> None:
        import torch

        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


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
