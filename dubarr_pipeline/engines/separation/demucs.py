"""Demucs takes the voices out: window by window, in a process of its own."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np

from dubarr_pipeline.compute.child_process import EngineChild
from dubarr_pipeline.compute.devices import choose_device, lease_device
from dubarr_pipeline.compute.oom_fallback import EngineConfiguration, OomFallback, fallback_steps
from dubarr_pipeline.engines.interfaces import AudioReader, Need, Samples, Separator
from dubarr_pipeline.engines.requirements import (
    STUDIO,
    model_in_store,
    package_need,
    package_version,
)
from dubarr_pipeline.engines.separation.demucs_worker import ModelShape
from dubarr_pipeline.engines.separation.dialogue import dialogue_channels
from dubarr_pipeline.engines.separation.film import Film
from dubarr_pipeline.engines.separation.options import SeparationOptions
from dubarr_pipeline.engines.separation.pauses import lines_of
from dubarr_pipeline.engines.separation.spectrum import Grid
from dubarr_pipeline.engines.separation.windows import WindowPlan
from dubarr_pipeline.errors import EngineError, SettingsError
from dubarr_pipeline.files import ResumeCache, resume_key
from dubarr_pipeline.models.store import model_folder, model_identity
from dubarr_pipeline.spans import Span, merge

_log = logging.getLogger(__name__)

_VERSION = "1"
_WORKER = "dubarr_pipeline.engines.separation.demucs_worker:DemucsModel"
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


class DemucsSeparator(Separator):
    """Takes voices out with a Demucs network; a 3-hour film needs no more memory than a trailer.

    Voices are looked for in the channels that carry dialogue; the others stay as they are.
    """

    name: ClassVar[str] = "demucs"

    def __init__(self, options: DemucsOptions | None = None) -> None:
        self._options = options or DemucsOptions()
        self._finished = ResumeCache(None)
        self._exit = contextlib.ExitStack()
        self._child: EngineChild | None = None
        self._device = ""
        self._ladder: OomFallback | None = None
        self._held: tuple[int, ...] = ()
        self._folder, self._maker = Path(), ""
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
        return (
            replace(package, present=here),
            model_in_store(self._options.model),
            *(self._device_need() if here else ()),
        )

    def _device_need(self) -> tuple[Need, ...]:
        try:
            choose_device(self._options.device)
        except SettingsError as error:
            return (Need("data", f"device {self._options.device}", False, str(error)),)
        return ()

    def keep_in(self, folder: Path) -> None:
        self._finished = ResumeCache(folder)

    def load(self) -> None:
        if self._ladder:
            return
        self._folder, self._maker = model_folder(self._options.model), self.identity()
        with contextlib.ExitStack() as stack:
            lease = stack.enter_context(lease_device(self._options.device, on_wait=_log.info))
            self._held = lease.held
            self._ladder = OomFallback(self.name, self._rungs(lease.device))
            stack.callback(self._stop)
            self._ladder.run(self._stand_on)
            self._exit = stack.pop_all()

    def unload(self) -> None:
        self._exit.close()

    def _stop(self) -> None:
        if self._child:
            self._child.unload()
        self._child = self._ladder = self._shape = None

    def _rungs(self, device: str) -> tuple[EngineConfiguration, ...]:
        return fallback_steps(
            EngineConfiguration(device, 1 if device == "cpu" else self._options.batch),
            precisions=("float32", "float16") if device.startswith("cuda") else (),
            windows_s=_SMALLER_WINDOWS_S,
            allow_cpu=self._options.allow_cpu,
        )

    def _stand_on(self, configuration: EngineConfiguration) -> EngineChild:
        """Return the child for a configuration; a fresh one if the last was killed or differs."""
        if self._child and self._child.pid and self._device == configuration.device:
            return self._child
        if self._child:
            self._child.kill()
        self._child = EngineChild(
            self.name, _WORKER, self._held, folder=str(self._folder), device=configuration.device
        )
        self._child.load()
        self._shape = self._child.call("shape")
        self._device = configuration.device
        return self._child

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
        plan = self._plan(film.samples)
        yield from film.separated(plan, spans, self._ladder.configuration.batch, self._voices)
        _log.info("separated %d stretches: %s", len(spans), self.method)

    def _plan(self, samples: int) -> WindowPlan:
        assert self._shape
        length = self._shape.window_samples
        if self._options.window_s:
            length = min(length, round(self._options.window_s * self._shape.rate))
        return WindowPlan(samples, length, int((1 - self._options.overlap) * length))

    def _voices(self, sounds: Samples) -> Samples:
        """Separate the voices of some windows, ``(windows, channels, samples)`` in and out."""
        assert self._ladder
        found: dict[int, Samples] = {}
        self._ladder.run(lambda configuration: self._work(configuration, sounds, found))
        self._windows += len(sounds)
        return np.stack([found[row] for row in range(len(sounds))])

    def _work(
        self, configuration: EngineConfiguration, sounds: Samples, found: dict[int, Samples]
    ) -> None:
        """Fill in the windows that are missing: from an earlier run, else from the model."""
        child = self._stand_on(configuration)
        how = f"{self._maker}/{configuration.precision}/{configuration.window_s}"
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
