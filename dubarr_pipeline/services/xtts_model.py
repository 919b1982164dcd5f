"""XTTS in this process: a text and a few seconds of a voice in, that voice's speech out.

`serve_tts` puts it behind our speech server (`dubarr serve tts`).
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import signal
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dubarr_pipeline.compute.devices import choose_device, prepare_torchaudio
from dubarr_pipeline.errors import (
    LicenceError,
    MissingRequirement,
    OutOfMemory,
    SettingsError,
    WorkspaceError,
)
from dubarr_pipeline.media.audio.edges import EDGE_S, trim_edges
from dubarr_pipeline.models.store import model_folder
from dubarr_pipeline.text.sentences import pieces

if TYPE_CHECKING:
    from dubarr_pipeline.services.speech_server import LineToSpeak, Samples

_log = logging.getLogger(__name__)

TOKEN_VARIABLE = "DUBARR_TTS_TOKEN"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
LICENCE = "CPML"
LICENCE_VARIABLE = "COQUI_TOS_AGREED"
"""coqui-tts asks on standard input unless this is "1"; set only where the user has accepted."""
SLOWEST, FASTEST = 0.75, 1.35
"""Tempo limits; beyond them stretched latents slur or stumble."""
_VOICES_KEPT = 64
_PAUSE_S = 0.12
"""Pause between the pieces of a text that is too long for one inference."""
_REF_S = 30
_PIECE_S = 6
"""Part of a reference that shapes the delivery, in pieces of `_PIECE_S` (coqui-tts's defaults)."""


class XttsVoice:
    """A loaded XTTS model, by the name that clients use. Not thread-safe.

    Raises:
        MissingRequirement: if coqui-tts is not installed, or the folder has no XTTS model.
    """

    def __init__(self, folder: Path, name: str, device: str = "auto") -> None:
        self.name = name
        self._device = choose_device(device)
        self._model = _load(folder, self._device)
        self._voices: OrderedDict[str, tuple[Any, Any]] = OrderedDict()
        self.rate = int(self._model.args.output_sample_rate)

    @property
    def languages(self) -> tuple[str, ...]:
        """BCP-47 languages of this checkpoint, at most the 17 of XTTS."""
        return tuple(language for language in XTTS_LANGUAGES if self.serves(language))

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of the built-in voices."""
        manager = self._model.speaker_manager
        return tuple(manager.speaker_names) if manager else ()

    def serves(self, language: str) -> bool:
        """Return whether it speaks this language itself, and not a relative of it."""
        return xtts_language(language) in self._model.config.languages

    def sleep(self) -> None:
        """Move the model from the GPU to main memory."""
        import torch

        self._model.to("cpu")
        self._voices.clear()
        if self._device.startswith("cuda"):
            torch.cuda.empty_cache()

    def wake(self) -> None:
        """Move the model back to its device."""
        self._model.to(self._device)

    def speak(self, line: LineToSpeak) -> Samples:
        """Render a line; the same line gives the same samples on the same device.

        XTTS controls length only by a tempo of its own latents: for a requested duration the line
        is rendered, measured, and rendered again from the same latents at the tempo that fits,
        within 0.75-1.35.
        """
        import torch

        try:
            voice = self._voice(line)
            spoken = [self._piece(piece, line, voice) for piece in self._pieces(line)]
            tempo = line.speed
            if line.duration_s is not None:
                natural_s = self._joined([sound for sound, _ in spoken]).size / self.rate
                tempo = min(FASTEST, max(SLOWEST, natural_s / line.duration_s))
            sounds = [
                sound if tempo == 1.0 else self._at_tempo(latents, voice, tempo)
                for sound, latents in spoken
            ]
            return self._joined(sounds)
        except torch.cuda.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise OutOfMemory(f"XTTS on {self._device} ran out of memory: {error}") from error

    def _voice(self, line: LineToSpeak) -> tuple[Any, Any]:
        """Return a voice's conditioning, computed once for each reference."""
        if line.ref is None:
            known = self._model.speaker_manager.speakers[line.voice]
            return known["gpt_cond_latent"], known["speaker_embedding"]
        if line.ref_digest in self._voices:
            self._voices.move_to_end(line.ref_digest)
            return self._voices[line.ref_digest]
        import torch

        sound = torch.from_numpy(np.clip(line.ref, -1, 1))[None, : _REF_S * line.ref_rate]
        latents = self._model.get_gpt_cond_latents(
            sound, line.ref_rate, length=_PIECE_S, chunk_length=_PIECE_S
        )
        voice = latents, self._model.get_speaker_embedding(sound, line.ref_rate)
        self._voices[line.ref_digest] = voice
        if len(self._voices) > _VOICES_KEPT:
            self._voices.popitem(last=False)
        return voice

    def _pieces(self, line: LineToSpeak) -> list[str]:
        """Split the text into pieces within the model's limits of characters and of tokens."""
        code = xtts_language(line.language) or ""
        limit = self._model.tokenizer.char_limits.get(code.partition("-")[0], 200)
        longest = self._model.args.gpt_max_text_tokens - 2
        fitting, left = list[str](), pieces(line.text, limit, BORDERS)
        while left:
            piece = left.pop(0)
            tokens = len(self._model.tokenizer.encode(piece.lower(), lang=code))
            if tokens < longest or len(piece) == 1:
                fitting.append(piece)
            else:
                left = [*pieces(piece, max(1, len(piece) // 2), BORDERS), *left]
        return [piece for piece in fitting if any(c.isalnum() for c in piece)]

    def _piece(self, piece: str, line: LineToSpeak, voice: tuple[Any, Any]) -> tuple[Samples, Any]:
        """Render one piece at its natural tempo; return its latents as well."""
        import torch

        # The same words in the same voice are drawn the same, whatever length is requested.
        facts = "\0".join((piece, line.language, line.voice, line.ref_digest))
        digest = hashlib.sha256(facts.encode()).digest()
        torch.manual_seed(int.from_bytes(digest[:6], "big"))
        rendered = self._model.inference(piece, xtts_language(line.language) or "", *voice)
        return np.asarray(rendered["wav"], np.float32), torch.from_numpy(rendered["gpt_latents"])

    def _at_tempo(self, latents: Any, voice: tuple[Any, Any], tempo: float) -> Samples:
        """Render latents again, stretched as `Xtts.inference` does for `speed`."""
        import torch

        with torch.inference_mode():
            stretched = torch.nn.functional.interpolate(
                latents.to(self._device).transpose(1, 2), scale_factor=1.0 / tempo, mode="linear"
            ).transpose(1, 2)
            rendered = self._model.hifigan_decoder(stretched, g=voice[1].to(self._device))
        return rendered.cpu().squeeze().numpy().astype(np.float32)

    def _joined(self, sounds: list[Samples]) -> Samples:
        """Join pieces with a pause between them, their silent edges cut."""
        pause = np.zeros(round(_PAUSE_S * self.rate), np.float32)
        edge = round(EDGE_S * self.rate)
        parts = [part for sound in sounds for part in (pause, trim_edges(sound, edge))]
        return np.concatenate(parts[1:]) if parts else pause[:0]


def _load(folder: Path, device: str) -> Any:
    missing = [n for n in ("config.json", "model.pth", "vocab.json") if not (folder / n).is_file()]
    if missing:
        raise MissingRequirement(f"{folder} is not an XTTS model: {', '.join(missing)} missing")
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


BORDERS = (
    re.compile(r"(?<=[.!?…。！？؟।])[\"'”’»)\]]*\s*"),
    re.compile(r"(?<=[,;:—、，；：،])\s*"),
    re.compile(r"\s+"),
)
"""Borders at which a text may be cut, best first: sentences, clauses, words."""


XTTS_LANGUAGES = tuple("ar cs de en es fr hi hu it ja ko nl pl pt ru tr zh".split())
_MANDARIN = frozenset({"zh", "cmn"})
_MANDARIN_HERE = frozenset({"", "cn", "sg", "hans", "hans-cn", "hans-sg"})


def xtts_language(language: str) -> str | None:
    """Return XTTS's code of a language, or None if it does not speak it.

    A region makes no difference (``es-MX`` is Spanish in the accent of the voice reference). But
    XTTS was not trained on ``zh-HK``, ``zh-TW`` and ``yue``: they are not served.
    """
    base, _, rest = language.strip().lower().replace("_", "-").partition("-")
    if base in _MANDARIN:
        return "zh-cn" if rest in _MANDARIN_HERE else None
    return base if base in XTTS_LANGUAGES else None


@dataclass(frozen=True, slots=True)
class SpeechServing:
    """Model and address of `dubarr serve tts`; port 0 is a free one, no name the model's own."""

    model: str = "coqui/XTTS-v2"
    name: str = ""
    device: str = "auto"
    host: str = "127.0.0.1"
    port: int = 8100
    accepted: tuple[str, ...] = ()


def serve_tts(serving: SpeechServing, say: Callable[[str], object]) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises:
        LicenceError: if the licence of XTTS was not accepted.
        SettingsError: if it would be reachable from elsewhere without a token.
        MissingRequirement: if the model or coqui-tts is missing.
        WorkspaceError: if the port is in use.
    """
    # A web server, of which the engine that asks for one needs nothing.
    from dubarr_pipeline.services.speech_server import SpeechServer

    token = os.environ.get(TOKEN_VARIABLE, "")
    if LICENCE not in serving.accepted and os.environ.get(LICENCE_VARIABLE) != "1":
        raise LicenceError(
            f"XTTS is licensed under {LICENCE}, which forbids commercial use "
            "(https://coqui.ai/cpml): read it, and if you accept it pass --accept-licence "
            f'{LICENCE}, or write accept_licences = ["{LICENCE}"] below [models] in dubarr.toml'
        )
    if serving.host not in _LOOPBACK and not token:
        raise SettingsError(
            f"{serving.host} can be reached from elsewhere: set {TOKEN_VARIABLE} to a long random "
            "text, which clients must send as their key"
        )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    model = XttsVoice(model_folder(serving.model), serving.name or serving.model, serving.device)
    try:
        web = SpeechServer(model, serving.host, serving.port, token).web
    except OSError as error:
        raise WorkspaceError(
            f"port {serving.port} of {serving.host}: {error.strerror}; choose another by --port"
        ) from error
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    guard = "with its token" if token else "without a token"
    say(f"{serving.model} at {web.url}/v1, {guard}")
    try:
        web.serve()
    except KeyboardInterrupt:
        say("ended")
