"""Any voice behind ``POST /v1/audio/speech``: a TTS server of the ecosystem, or ours."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import ClassVar

from dubarr_pipeline.engines.interfaces import Need, Speech, SpeechRequest, Synthesizer, Voice
from dubarr_pipeline.errors import LanguageError, LineError, MissingRequirement
from dubarr_pipeline.script.model import SpeakerProfile
from dubarr_pipeline.services.http_client import Host, ServerOptions, SpeechOrder, check_url, key_of
from dubarr_pipeline.services.speech_client import TTSService, ref_url, try_tts


@dataclass(frozen=True, slots=True)
class OpenAISpeechOptions:
    """Server and model that speak.

    Attributes:
        url: with its version part, e.g. ``"http://127.0.0.1:8100/v1"``.
        model: as the server calls it; part of the fingerprint.
        voice: for speakers without a voice of their own.
        key_variable: environment variable that holds the key.
        languages: BCP-47 languages that it speaks; empty: all.
        concurrency: lines that it speaks at once.
        clones: send the speaker's voice reference along.
        fits_duration: the server honours `duration_s`.
        deterministic: the same request gives the same samples.
        max_characters: longest text for one call; 0: no limit.
        timeout_s: longest wait for one line, in seconds.
        attempts: calls for one line, the first included; at least 1.
        backoff_s: pause before the second call, in seconds; doubled each time.
    """

    url: str = "http://127.0.0.1:8100/v1"
    model: str = "default"
    voice: str = "default"
    key_variable: str = "DUBARR_TTS_KEY"
    languages: tuple[str, ...] = ()
    concurrency: int = 4
    clones: bool = True
    fits_duration: bool = False
    deterministic: bool = False
    max_characters: int = 0
    timeout_s: float = 120.0
    attempts: int = 4
    backoff_s: float = 0.5

    def __post_init__(self) -> None:
        check_url(self.url)


class OpenAISynthesizer(Synthesizer):
    """Speaks through a server. For many threads."""

    name: ClassVar[str] = "openai"

    def __init__(self, options: OpenAISpeechOptions | None = None) -> None:
        self.options = options or OpenAISpeechOptions()
        # What the class says of every engine of a kind, the server's settings say of this one.
        self.fits_duration = self.options.fits_duration  # pyright: ignore[reportAttributeAccessIssue]
        self.clones = self.options.clones  # pyright: ignore[reportAttributeAccessIssue]
        self.deterministic = self.options.deterministic  # pyright: ignore[reportAttributeAccessIssue]
        self.concurrency = self.options.concurrency  # pyright: ignore[reportAttributeAccessIssue]
        self.max_characters = self.options.max_characters or None  # pyright: ignore[reportAttributeAccessIssue]
        self._service: TTSService | None = None

    def identity(self) -> str:
        """Return the model and its options; not the address, which may change freely."""
        options = self.options
        return f"openai {options.model} voice={options.voice} clones={options.clones}"

    def needs(self) -> tuple[Need, ...]:
        with closing(self._client()) as service:
            present = service.reachable()
        cure = "start it, or set synthesis.url"
        return (Need("service", f"TTS at {self.options.url}", present, cure),)

    def load(self) -> None:
        if self._service is None:
            self._service = self._client()

    def unload(self) -> None:
        if self._service is not None:
            self._service.close()
            self._service = None

    def try_out(self, targets: Sequence[str]) -> None:
        """Have a short word spoken in every language. Raises `MissingRequirement` with the cure."""
        if self._service is None:
            raise MissingRequirement("the synthesizer is not loaded")
        foreign = [target for target in targets if not self.serves(target)]
        if foreign:
            raise MissingRequirement(
                f"synthesizer {self.name!r} does not speak {', '.join(foreign)}: choose another "
                "target language, or another synthesis.engine"
            )
        voice = Voice("", SpeakerProfile(""))
        for target in targets:
            try_tts(self._service, self._order(SpeechRequest("", target, voice)))

    def serves(self, language: str) -> bool:
        return not self.options.languages or language in self.options.languages

    def speak(self, request: SpeechRequest) -> Speech:
        if self._service is None:
            raise MissingRequirement("the synthesizer is not loaded")
        if not self.serves(request.language):
            choices = ", ".join(self.options.languages)
            raise LanguageError(
                f"{self.name} does not speak {request.language!r}; it speaks: {choices}"
            )
        if not any(character.isalnum() for character in request.text):
            raise LineError("unspeakable", f"there is nothing to pronounce in {request.text!r}")
        return Speech(*self._service.speak(self._order(request)))

    def _order(self, request: SpeechRequest) -> SpeechOrder:
        voice, options = request.voice, self.options
        ref = voice.ref if options.clones else None
        return SpeechOrder(
            model=options.model,
            input=request.text,
            voice=voice.profile.voices.get(request.language, options.voice),
            language=request.language,
            ref_audio=ref_url(ref) if ref else None,
            ref_text=voice.ref_text if ref else None,
            duration_s=request.duration_s if options.fits_duration else None,
        )

    def _client(self, host: Host | None = None) -> TTSService:
        options = self.options
        server = ServerOptions(
            url=host.url if host else options.url,
            key=host.token if host else key_of(options.key_variable),
            timeout_s=options.timeout_s,
            attempts=options.attempts,
            backoff_s=options.backoff_s,
            connections=2 * options.concurrency,
        )
        return TTSService(server, host)
