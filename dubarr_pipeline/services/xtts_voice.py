"""XTTS itself, in this process: a text and a few seconds of a voice in, that voice's speech out."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import OrderedDict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dubarr_pipeline.errors import MissingRequirement, OutOfMemory
from dubarr_pipeline.models.devices import choose_device
from dubarr_pipeline.models.torchaudio_cpu import prepare_torchaudio
from dubarr_pipeline.services.speech_server import Samples, Wanted
from dubarr_pipeline.services.text_pieces import text_pieces
from dubarr_pipeline.services.tts import trim_edges
from dubarr_pipeline.services.xtts_languages import XTTS_LANGUAGES, xtts_language

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = logging.getLogger(__name__)

LICENCE = "CPML"
LICENCE_VARIABLE = "COQUI_TOS_AGREED"
"""coqui-tts asks on standard input, unless this is "1"; we set it only for who has accepted."""
SLOWEST, FASTEST = 0.75, 1.35
"""Beyond these tempos its stretched latents slur, or stumble."""
_VOICES_KEPT = 64
_PAUSE_S = 0.12
"""Between pieces of a text that is too long for one breath of the model."""
_REF_S = 30
_PIECE_S = 6
"""Of a reference so much shapes the delivery, in pieces of this length (coqui-tts's defaults)."""


class XttsVoice:
    """A loaded XTTS model. Not for many threads at once.

    Args:
        folder: with ``config.json``, ``model.pth``, ``vocab.json``, ``speakers_xtts.pth``.
        name: as clients call it.
        device: auto, cpu, cuda or cuda:N.

    Raises:
        MissingRequirement: if coqui-tts is not installed, or the folder holds no XTTS model.
    """

    def __init__(self, folder: Path, name: str, device: str = "auto") -> None:
        self.name = name
        self._device = choose_device(device)
        self._model = _load(folder, self._device)
        self._voices: OrderedDict[str, tuple[Any, Any]] = OrderedDict()
        self.rate = int(self._model.args.output_sample_rate)

    @property
    def languages(self) -> tuple[str, ...]:
        """BCP-47, those of the 17 that this checkpoint has."""
        return tuple(language for language in XTTS_LANGUAGES if self.serves(language))

    @property
    def voices(self) -> tuple[str, ...]:
        """The built-in voices by name."""
        manager = self._model.speaker_manager
        return tuple(manager.speaker_names) if manager else ()

    def serves(self, language: str) -> bool:
        """Whether it speaks this very language."""
        return xtts_language(language) in self._model.config.languages

    def sleep(self) -> None:
        """Leave the GPU; the model waits in ordinary memory."""
        import torch

        self._model.to("cpu")
        self._voices.clear()
        if self._device.startswith("cuda"):
            torch.cuda.empty_cache()

    def wake(self) -> None:
        """Go back to the device."""
        self._model.to(self._device)

    def speak(self, wanted: Wanted) -> Samples:
        """Speak a line; the same line gives the same samples on the same device.

        Its only control of length is a tempo in the model's own latents: where a duration is
        wished, the line is rendered, measured, and rendered again from the same latents at the
        tempo that it takes, within 0.75-1.35.
        """
        with _named_memory(self._device):
            voice = self._voice(wanted)
            spoken = [self._piece(piece, wanted, voice) for piece in self._pieces(wanted)]
            tempo = wanted.speed
            if wanted.duration_s is not None:
                natural_s = self._joined([sound for sound, _ in spoken]).size / self.rate
                tempo = min(FASTEST, max(SLOWEST, natural_s / wanted.duration_s))
            sounds = [
                sound if tempo == 1.0 else self._at_tempo(latents, voice, tempo)
                for sound, latents in spoken
            ]
            return self._joined(sounds)

    def _voice(self, wanted: Wanted) -> tuple[Any, Any]:
        """What the model knows of a voice: worked out once for each reference."""
        if wanted.ref is None:
            known = self._model.speaker_manager.speakers[wanted.voice]
            return known["gpt_cond_latent"], known["speaker_embedding"]
        if wanted.ref_digest in self._voices:
            self._voices.move_to_end(wanted.ref_digest)
            return self._voices[wanted.ref_digest]
        import torch

        sound = torch.from_numpy(np.clip(wanted.ref, -1, 1))[None, : _REF_S * wanted.ref_rate]
        latents = self._model.get_gpt_cond_latents(
            sound, wanted.ref_rate, length=_PIECE_S, chunk_length=_PIECE_S
        )
        found = latents, self._model.get_speaker_embedding(sound, wanted.ref_rate)
        self._voices[wanted.ref_digest] = found
        if len(self._voices) > _VOICES_KEPT:
            self._voices.popitem(last=False)
        return found

    def _pieces(self, wanted: Wanted) -> list[str]:
        """The text in pieces that the model can take: by characters, and by its own tokens."""
        code = self._code(wanted).partition("-")[0]
        limit = self._model.tokenizer.char_limits.get(code, 200)
        longest = self._model.args.gpt_max_text_tokens - 2
        found, left = list[str](), text_pieces(wanted.text, limit)
        while left:
            piece = left.pop(0)
            tokens = len(self._model.tokenizer.encode(piece.lower(), lang=self._code(wanted)))
            if tokens < longest or len(piece) == 1:
                found.append(piece)
            else:
                left = [*text_pieces(piece, max(1, len(piece) // 2)), *left]
        return [piece for piece in found if any(c.isalnum() for c in piece)]

    def _piece(self, piece: str, wanted: Wanted, voice: tuple[Any, Any]) -> tuple[Samples, Any]:
        """One piece at its natural tempo, and the latents that it came from."""
        import torch

        torch.manual_seed(_seed(piece, wanted))
        made = self._model.inference(piece, self._code(wanted), *voice)
        return np.asarray(made["wav"], np.float32), torch.from_numpy(made["gpt_latents"])

    def _at_tempo(self, latents: Any, voice: tuple[Any, Any], tempo: float) -> Samples:
        """The same words again, from latents stretched as `Xtts.inference` does for `speed`."""
        import torch

        with torch.inference_mode():
            stretched = torch.nn.functional.interpolate(
                latents.to(self._device).transpose(1, 2), scale_factor=1.0 / tempo, mode="linear"
            ).transpose(1, 2)
            made = self._model.hifigan_decoder(stretched, g=voice[1].to(self._device))
        return made.cpu().squeeze().numpy().astype(np.float32)

    def _joined(self, sounds: list[Samples]) -> Samples:
        """Pieces one after the other with a breath between them, silent edges cut."""
        pause = np.zeros(round(_PAUSE_S * self.rate), np.float32)
        parts: list[Samples] = []
        for sound in sounds:
            parts += (
                [pause, trim_edges(sound, self.rate)] if parts else [trim_edges(sound, self.rate)]
            )
        return np.concatenate(parts) if parts else pause[:0]

    @staticmethod
    def _code(wanted: Wanted) -> str:
        return xtts_language(wanted.language) or ""


def _load(folder: Path, device: str) -> Any:
    missing = [n for n in ("config.json", "model.pth", "vocab.json") if not (folder / n).is_file()]
    if missing:
        raise MissingRequirement(f"{folder} is no XTTS model: {', '.join(missing)} not there")
    os.environ[LICENCE_VARIABLE] = "1"
    try:
        import torch  # noqa: F401

        prepare_torchaudio()
        from TTS.tts.configs.xtts_config import XttsConfig
        from TTS.tts.models.xtts import Xtts
    except ImportError as error:
        raise MissingRequirement(
            f"XTTS needs coqui-tts ({error}): pip install 'dubarr-pipeline[studio]'"
        ) from error
    config = XttsConfig()
    config.load_json(str(folder / "config.json"))
    model = Xtts.init_from_config(config)
    model.load_checkpoint(config, checkpoint_dir=str(folder), eval=True)
    return model.to(device)


def _seed(piece: str, wanted: Wanted) -> int:
    """The same words in the same voice are drawn the same; a wished length changes nothing."""
    facts = "\0".join((piece, wanted.language, wanted.voice, wanted.ref_digest))
    return int.from_bytes(hashlib.sha256(facts.encode()).digest()[:6], "big")


@contextmanager
def _named_memory(device: str) -> Iterator[None]:
    import torch

    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise OutOfMemory(f"XTTS on {device} ran out of memory: {error}") from error
