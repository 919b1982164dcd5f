"""Each speaker in a voice of their own: XTTS, in our own speech server, in a process of its own."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from dubarr_pipeline.compute.service_process import PORT, Launch, ServiceProcess
from dubarr_pipeline.engines.interfaces import Need
from dubarr_pipeline.engines.requirements import STUDIO, model_in_store, package_need
from dubarr_pipeline.engines.synthesis.openai import OpenAISpeechOptions, OpenAISynthesizer
from dubarr_pipeline.models.store import model_folder, model_identity
from dubarr_pipeline.script.model import StockVoice
from dubarr_pipeline.services.http_client import Host
from dubarr_pipeline.services.xtts_model import TOKEN_VARIABLE, XTTS_LANGUAGES, xtts_language

_LICENCE = {"COQUI_TOS_AGREED": "1"}
"""The licence is accepted in the settings, without which this engine is not built."""


@dataclass(frozen=True, slots=True)
class XttsOptions:
    """Options of XTTS: the model and its device.

    Attributes:
        model: a name of `dubarr models`, or a folder.
        device: auto, cpu, cuda or cuda:N.
        voice: a built-in voice for speakers of whom there is no clean sample; "default": the first.
        fit_duration: ask the model for the time that a line has (its own tempo, 0.75-1.35), rather
            than stretch its natural speech.
        start_deadline_s: by when the server must be ready.
        timeout_s: longest wait for one line.
        attempts: calls in all for one line, the first included.
        backoff_s: pause before the second call, in seconds; doubled each time.
    """

    model: str = "coqui/XTTS-v2"
    device: str = "auto"
    voice: str = "default"
    fit_duration: bool = False
    start_deadline_s: float = 600.0
    timeout_s: float = 300.0
    attempts: int = 4
    backoff_s: float = 0.5


class XttsSynthesizer(OpenAISynthesizer):
    """Speaks through a server that it starts with the first line, and ends at `unload`."""

    name: ClassVar[str] = "xtts"

    def __init__(
        self, options: XttsOptions | None = None, logs: Path | None = None, host: Host | None = None
    ) -> None:
        self.xtts = options or XttsOptions()
        super().__init__(
            OpenAISpeechOptions(
                model=self.xtts.model,
                voice=self.xtts.voice,
                languages=XTTS_LANGUAGES,
                concurrency=2,
                fits_duration=self.xtts.fit_duration,
                deterministic=True,
                extensions="always",
                timeout_s=self.xtts.timeout_s,
                attempts=self.xtts.attempts,
                backoff_s=self.xtts.backoff_s,
            )
        )
        self._logs, self._host = logs or Path("logs"), host
        self._process: ServiceProcess | None = None

    def identity(self) -> str:
        return f"xtts/1 {model_identity(self.xtts.model)} {self.xtts.voice} {self.fits_duration}"

    def needs(self) -> tuple[Need, ...]:
        return (package_need("coqui-tts", "TTS", STUDIO), model_in_store(self.xtts.model))

    def load(self) -> None:
        if self._service is None:
            host = self._host
            if host is None:
                host = self._process = xtts_process(self.xtts, self._logs)
            self._service = self._client(host)

    def unload(self) -> None:
        super().unload()
        if self._process is not None:
            self._process.close()
            self._process = None

    def voices(self, language: str) -> tuple[StockVoice, ...]:  # noqa: ARG002
        """Return none: every speaker is spoken in a voice of their own."""
        return ()

    def serves(self, language: str) -> bool:
        return xtts_language(language) is not None


def xtts_process(options: XttsOptions, logs: Path) -> ServiceProcess:
    """Our speech server with the model, not started yet."""
    folder = model_folder(options.model)
    command = (
        *(sys.executable, "-m", "dubarr_pipeline.cli.main", "serve", "tts", "--model", str(folder)),
        *("--name", options.model, "--device", options.device, "--port", PORT),
    )
    launch = Launch("tts", command, _LICENCE, TOKEN_VARIABLE, deadline_s=options.start_deadline_s)
    return ServiceProcess(launch, logs)
