"""What `dubarr serve tts` does: load XTTS, and serve it until the process is told to end."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from dubarr_pipeline.errors import LicenceError, SettingsError, WorkspaceError
from dubarr_pipeline.models.store import model_folder
from dubarr_pipeline.services.speech_server import SpeechServer, serve
from dubarr_pipeline.services.xtts_voice import LICENCE, LICENCE_VARIABLE, XttsVoice

TOKEN_VARIABLE = "DUBARR_TTS_TOKEN"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class SpeechServing:
    """Which model is served, and where.

    Attributes:
        model: a name of `dubarr models`, or a folder.
        name: as clients call it; empty: as `model` says.
        device: auto, cpu, cuda or cuda:N.
        port: 0: a free one.
        accepted: licences that the operator has accepted.
    """

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
        SettingsError: if it would be open to others without a token.
        MissingRequirement: if the model or coqui-tts is not here.
        WorkspaceError: if the port is taken.
    """
    token = os.environ.get(TOKEN_VARIABLE, "")
    if LICENCE not in serving.accepted and os.environ.get(LICENCE_VARIABLE) != "1":
        raise LicenceError(
            f"XTTS stands under {LICENCE}, which allows no commercial use "
            "(https://coqui.ai/cpml): read it, and if you accept it say --accept-licence "
            f'{LICENCE}, or write accept_licences = ["{LICENCE}"] below [models] in dubarr.toml'
        )
    if serving.host not in _LOOPBACK and not token:
        raise SettingsError(
            f"{serving.host} can be reached from elsewhere: set {TOKEN_VARIABLE} to a long random "
            "text, which clients must show as their key"
        )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    model = XttsVoice(model_folder(serving.model), serving.name or serving.model, serving.device)
    try:
        server = SpeechServer(model, (serving.host, serving.port), token)
    except OSError as error:
        raise WorkspaceError(
            f"port {serving.port} of {serving.host}: {error.strerror}; choose another by --port"
        ) from error
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    guard = "with its token" if token else "without a token"
    say(f"{serving.model} at http://{serving.host}:{server.server_port}/v1, {guard}")
    try:
        serve(server)
    except KeyboardInterrupt:
        say("ended")
