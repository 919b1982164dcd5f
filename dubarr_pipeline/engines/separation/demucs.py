"""Demucs takes the voices out: window by window, in a process of its own."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np

from dubarr_pipeline.compute.child_process import EngineChild
from dubarr_pipeline.compute.devices import choose_device
from dubarr_pipeline.compute.oom_fallback import EngineConfiguration, fallback_steps
from dubarr_pipeline.engines.interfaces import AudioReader, Need, Samples, Separator
from dubarr_pipeline.engines.laddered_child import LadderedEngine
from dubarr_pipeline.engines.requirements import (
    STUDIO,
    model_in_store,
    package_need,
    package_version,
)
from dubarr_pipeline.engines.separation.demucs_worker import ModelShape
from dubarr_pipeline.engines.separation.dialogue import SeparationOptions, dialogue_channels
from dubarr_pipeline.engines.separation.film import Film
from dubarr_pipeline.engines.separation.pauses import lines_of
from dubarr_pipeline.engines.separation.spectrum import Grid
from dubarr_pipeline.engines.separation.windows import WindowPlan
from dubarr_pipeline.errors import EngineError, SettingsError
from dubarr_pipeline.files import ResumeCache, resume_key
from dubarr_pipeline.models.store import model_folder, model_identity
from dubarr_pipeline.spans import Span, merge

_log = logging.getLogger(__name__)

_VERSION = "1"
_SMALLER_WINDOWS_S = (3.9, 1.95)
"""Window lengths where memory is short: a half, and a quarter of 7.8 s."""


@dataclass(frozen=True, slots=True)
class DemucsOptions:
    """Options of Demucs.

    Attributes:
        model: a Demucs model's name, or the path of a folder with one.
        device: auto, cuda, cuda:N, GPU-<uuid>, mps or cpu.
        allow_cpu: whether it may go on with the CPU where the GPU's memory is too small for a
            single window; that is some 50 times slower.
        batch: windows that a GPU works on at once; the CPU takes one at a time.
        window_s: seconds that are heard at once, 1 and more; 0 is what the model was trained with
            (7.8 for htdemucs), which is also the most.
        overlap: share of a window that its neighbour hears too, 0.1 to 0.5: they are cross-faded.
    """

    model: str = "htdemucs_ft"
    device: str = "auto"
    allow_cpu: bool = False
    batch: int = 4
    window_s: float = 0.0
    overlap: float = 0.25

    def __post_init__(self) -> None:
        if self.window_s and self.window_s < 1:
            raise ValueError(f"separation.window_s is {self.window_s}: it must be 0, or 1 or more")


class DemucsSeparator(LadderedEngine, Separator):
    """Takes voices out with a Demucs network, in the channels that carry dialogue."""

    name: ClassVar[str] = "demucs"
    worker: ClassVar[str] = "dubarr_pipeline.engines.separation.demucs_worker:DemucsModel"

    def __init__(self, options: DemucsOptions | None = None) -> None:
        self._options = options or DemucsOptions()
        super().__init__(self._options.device)
        self._finished = ResumeCache(None)
        self._shape: ModelShape | None = None
        self._windows = self._kept = 0

    @property
    def method(self) -> str:
        """Treatment of the last film, e.g. ``"htdemucs_ft, 812 windows on cuda:0"``."""
        where = self._ladder.configuration.device if self._ladder else "?"
        kept = f", {self._kept} of them kept" if self._kept else ""
        return f"{Path(self._options.model).name}, {self._windows} windows on {where}{kept}"

    def identity(self) -> str:
        chosen = self._options
        what = f"{package_version(self.name)}/{model_identity(chosen.model)}"
        how = f"window {chosen.window_s:g} s, overlap {chosen.overlap:g}"
        return f"{self.name}/{_VERSION}/{what}/{how}"

    def needs(self) -> tuple[Need, ...]:
        package = package_need("demucs", "demucs", STUDIO)
        here = package.present and find_spec("torch") is not None
        needs = [replace(package, present=here), model_in_store(self._options.model)]
        try:
            if here:
                choose_device(self._options.device)
        except SettingsError as error:
            needs.append(Need("data", f"device {self._options.device}", False, str(error)))
        return tuple(needs)

    def keep_in(self, folder: Path) -> None:
        self._finished = ResumeCache(folder)

    def load(self) -> None:
        # Else a device that is not here would be a need like any other.
        choose_device(self._options.device)
        super().load()
        self._shape = self._call("shape")

    def _rungs(self, device: str) -> tuple[EngineConfiguration, ...]:
        return fallback_steps(
            EngineConfiguration(device, 1 if device == "cpu" else self._options.batch),
            precisions=("float32", "float16") if device.startswith("cuda") else (),
            windows_s=_SMALLER_WINDOWS_S,
            allow_cpu=self._options.allow_cpu,
        )

    def _arguments(self, configuration: EngineConfiguration) -> dict[str, object]:
        return {"folder": str(model_folder(self._options.model)), "device": configuration.device}

    def separate(
        self, source: AudioReader, speech: Sequence[Span]
    ) -> Iterator[tuple[int, Samples]]:
        """No sample of `source` that lies before a block that was yielded is read again."""
        if self._shape is None or self._ladder is None:
            raise EngineError("demucs is not loaded: load it first")
        self._windows = self._kept = 0
        whole = Span(0, source.samples)
        spans = [part for span in merge(speech) if (part := span.clip(whole))]
        grid = Grid.at(source.rate)
        lines = lines_of(spans, source.samples, source.rate, grid)
        groups = dialogue_channels(source, lines, grid, SeparationOptions())
        film = Film(source, groups, self._shape.rate)
        length = self._shape.window_samples
        if self._options.window_s:
            length = min(length, round(self._options.window_s * self._shape.rate))
        plan = WindowPlan(film.samples, length, int((1 - self._options.overlap) * length))
        yield from film.separated(plan, spans, self._ladder.configuration.batch, self._voices)
        _log.info("separated %d stretches: %s", len(spans), self.method)

    def _voices(self, sounds: Samples) -> Samples:
        """Separate the voices of some windows, ``(windows, channels, samples)`` in and out."""
        found: dict[int, Samples] = {}
        self._run(lambda child, configuration: self._work(child, configuration, sounds, found))
        self._windows += len(sounds)
        return np.stack([found[row] for row in range(len(sounds))])

    def _work(
        self,
        child: EngineChild,
        configuration: EngineConfiguration,
        sounds: Samples,
        found: dict[int, Samples],
    ) -> None:
        """Fill in the windows that are missing: from an earlier run, else from the model."""
        how = f"{self.identity()}/{configuration.precision}/{configuration.window_s}"
        keys = [resume_key(how, np.ascontiguousarray(sound).data.cast("B")) for sound in sounds]
        for row in set(range(len(sounds))) - set(found):
            kept = self._finished.find(keys[row])
            if kept is not None and len(kept) == 4 * sounds[row].size:
                found[row] = np.frombuffer(kept, "<f4").reshape(sounds[row].shape)
                self._kept += 1
        missing = [row for row in range(len(sounds)) if row not in found]
        for first in range(0, len(missing), configuration.batch):
            rows = missing[first : first + configuration.batch]
            made = child.call(
                "voices", sounds[rows], configuration.precision, configuration.window_s
            )
            for row, voices in zip(rows, made, strict=True):
                self._finished.put(keys[row], np.ascontiguousarray(voices, "<f4").tobytes())
                found[row] = voices
