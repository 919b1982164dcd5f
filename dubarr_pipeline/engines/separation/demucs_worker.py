"""Demucs itself, in the engine's child process: windows of sound in, their voices out."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dubarr_pipeline.engines.interfaces import Samples
from dubarr_pipeline.errors import EngineError, MissingRequirement

if TYPE_CHECKING:
    import torch

_VOICE = "vocals"
_OVERLAP = 0.25


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Input shape of a model: samples per second, channels, and samples at once."""

    rate: int
    channels: int
    window_samples: int


@dataclass(frozen=True, slots=True)
class _Part:
    """One network of a bag, and how much its voices count."""

    network: Any
    weight: float
    voice: int
    window: Fraction


class DemucsModel:
    """The networks of a model that hear voices, on their device.

    A bag such as htdemucs_ft has a network for each stem; those that say nothing about voices are
    not loaded, which takes a quarter of the time and memory.

    Raises:
        MissingRequirement: if demucs is not installed, or the folder holds no model.
        EngineError: if a file is damaged, or the model knows no voices.
    """

    def __init__(self, folder: str, device: str) -> None:
        try:
            import demucs.repo
            import torch
        except ImportError as error:
            raise MissingRequirement(
                f"demucs is not installed ({error}): pip install 'dubarr-pipeline[studio]'"
            ) from error
        # The same sound gives the same voices.
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        self._device = torch.device(device)
        signatures = _signatures(Path(folder))
        try:
            repository = demucs.repo.LocalRepo(Path(folder))
            self._parts = [
                _part(repository.get_model(signature).to(self._device).eval(), weights)
                for signature, weights in signatures
            ]
        except demucs.repo.ModelLoadingError as error:
            raise EngineError(
                f"model folder {folder}: {error}; dubarr models verify tells which file it is"
            ) from error
        if not any(part.weight for part in self._parts):
            raise EngineError(f"the model in {folder} takes no voices out")

    def shape(self) -> ModelShape:
        """Input shape of the model."""
        first = self._parts[0]
        shortest = min(part.window for part in self._parts)
        rate = int(first.network.samplerate)
        return ModelShape(rate, int(first.network.audio_channels), int(shortest * rate))

    def voices(self, sounds: Samples, precision: str, window_s: float | None) -> Samples:
        """Return the voices of some windows: ``(windows, channels, samples)`` in and out.

        Args:
            sounds: at the model's rate, normalised over the film.
            precision: "float32" or "float16".
            window_s: seconds that the networks hear at once, where that is less than a window.
        """
        import torch

        mix = torch.from_numpy(np.ascontiguousarray(sounds))
        total = sum(part.weight for part in self._parts)
        found = torch.zeros_like(mix)
        with torch.no_grad(), self._numbers(precision):
            for part in self._parts:
                found += part.weight / total * self._heard(part, mix, window_s)
        return found.numpy()

    def _numbers(self, precision: str) -> contextlib.AbstractContextManager[Any]:
        import torch

        if precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, dtype=getattr(torch, precision))

    def _heard(self, part: _Part, mix: torch.Tensor, window_s: float | None) -> torch.Tensor:
        from demucs.apply import apply_model

        rate, samples = part.network.samplerate, mix.shape[-1]
        at_once = samples if window_s is None else min(samples, round(window_s * rate))
        # Demucs' networks hear, and hold in memory, this long a stretch.
        part.network.segment = Fraction(at_once, rate)
        heard = apply_model(
            part.network,
            mix,
            shifts=0,
            split=at_once < samples,
            overlap=_OVERLAP,
            device=self._device,
        )
        return heard[:, part.voice].float().cpu()


def _part(network: Any, weights: list[float] | None) -> _Part:
    sources = list(network.sources)
    if _VOICE not in sources:
        return _Part(network, 0.0, 0, Fraction(network.segment))
    voice = sources.index(_VOICE)
    weight = 1.0 if weights is None else float(weights[voice])
    return _Part(network, weight, voice, Fraction(network.segment))


def _signatures(folder: Path) -> list[tuple[str, list[float] | None]]:
    """Return the networks of the folder's model that contribute to voices, with weights."""
    import yaml

    found = sorted(folder.glob("*.yaml"))
    named = [path for path in found if path.stem == folder.name]
    if len(found) > 1 and not named:
        names = ", ".join(path.name for path in found)
        raise MissingRequirement(f"model folder {folder} holds several models: {names}")
    bag = (named or found or [None])[0]
    if bag is None:
        return [(_only_network(folder), None)]
    from demucs.pretrained import SOURCES

    told = yaml.safe_load(bag.read_text(encoding="utf-8"))
    weights = told.get("weights") or [None] * len(told["models"])
    usual = SOURCES.index(_VOICE)
    return [
        (signature, row)
        for signature, row in zip(told["models"], weights, strict=True)
        if row is None or len(row) != len(SOURCES) or row[usual]
    ]


def _only_network(folder: Path) -> str:
    found = sorted(folder.glob("*.th"))
    if len(found) != 1:
        raise MissingRequirement(
            f"model folder {folder} holds no Demucs model (NAME.yaml and its .th files): "
            "dubarr models pull htdemucs_ft"
        )
    return found[0].stem.rsplit("-", 1)[0]
