"""Any voice behind ``POST /v1/audio/speech``: a TTS server of the ecosystem, or ours."""

import logging
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import ClassVar, Literal

from dubarr_pipeline.engines.interfaces import Need, Speech, SpeechRequest, Synthesizer, Voice
from dubarr_pipeline.engines.synthesis.server_voices import named_voice, stock_voices
from dubarr_pipeline.errors import LanguageError, LineError, MissingRequirement
from dubarr_pipeline.script.model import SpeakerProfile, StockVoice
from dubarr_pipeline.services.http_client import Host, ServerOptions, SpeechOrder, check_url, key_of
from dubarr_pipeline.services.speech_client import ServedVoice, TTSService, ref_url, try_tts

_log = logging.getLogger(__name__)

_SPEEDS = (0.25, 4.0)
"""Bounds of OpenAI's `speed`."""
_CLOSE, _SURELY = 0.03, 0.08
"""A length as near as this, relative, is not asked for again; a change that must be heard."""


@dataclass(frozen=True, slots=True)
class OpenAISpeechOptions:
    """Server and model that speak.

    Attributes:
        url: with its version part, e.g. ``"http://127.0.0.1:8100/v1"``.
        model: as the server calls it; part of the fingerprint.
        voice: for speakers to whom no voice is dealt.
        voices: to deal to the speakers, the best first, each as ``"name"`` or ``"name:sex"`` (male,
            female, neutral); empty: those that the server lists at ``audio/voices``.
        key_variable: environment variable that holds the key.
        languages: BCP-47 languages that it speaks; empty: all.
        concurrency: lines that it speaks at once.
        clones: send the speaker's voice reference along, if the server takes extensions.
        extensions: whether the server knows the fields `language`, `ref_audio`, `ref_text` and
            `duration_s`, which are not OpenAI's. ``try``: they are sent until it refuses them.
        fits_duration: by which field the server speaks a line in the time that it has:
            ``duration_s`` (or true); ``speed``, OpenAI's own; false: by none.
        deterministic: the same request gives the same samples.
        max_characters: longest text for one call; 0: no limit.
        timeout_s: longest wait for one line, in seconds.
        attempts: calls for one line, the first included; at least 1.
        backoff_s: pause before the second call, in seconds; doubled each time.
    """

    url: str = "http://127.0.0.1:8100/v1"
    model: str = "default"
    voice: str = "default"
    voices: tuple[str, ...] = ()
    key_variable: str = "DUBARR_TTS_KEY"
    languages: tuple[str, ...] = ()
    concurrency: int = 4
    clones: bool = True
    extensions: Literal["try", "always", "never"] = "try"
    fits_duration: bool | Literal["duration_s", "speed"] = False
    deterministic: bool = False
    max_characters: int = 0
    timeout_s: float = 120.0
    attempts: int = 4
    backoff_s: float = 0.5

    def __post_init__(self) -> None:
        check_url(self.url)
        for each in self.voices:
            named_voice(each)


class OpenAISynthesizer(Synthesizer):
    """Speaks through a server. For many threads."""

    name: ClassVar[str] = "openai"

    def __init__(self, options: OpenAISpeechOptions | None = None) -> None:
        self.options = options or OpenAISpeechOptions()
        # What the class says of every engine of a kind, the server's settings say of this one.
        self.fits_duration = bool(self.options.fits_duration)  # pyright: ignore[reportAttributeAccessIssue]
        self.clones = self.options.clones  # pyright: ignore[reportAttributeAccessIssue]
        self.deterministic = self.options.deterministic  # pyright: ignore[reportAttributeAccessIssue]
        self.concurrency = self.options.concurrency  # pyright: ignore[reportAttributeAccessIssue]
        self.max_characters = self.options.max_characters or None  # pyright: ignore[reportAttributeAccessIssue]
        self._service: TTSService | None = None
        self._listed: tuple[ServedVoice, ...] | None = None
        self._ignores_speed = False

    def identity(self) -> str:
        """Return the model and its options; not the address, which may change freely."""
        options = self.options
        named = f"openai {options.model} voice={options.voice} clones={options.clones}"
        # What the server lists counts where voices are dealt: it may be away when this is asked.
        more = f" voices={','.join(options.voices)}" if options.voices else ""
        return named + more + (" speed" if options.fits_duration == "speed" else "")

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
        for target in targets:
            # A server may not know the voice of the settings, which is for those without another.
            name = next((voice.name for voice in self.voices(target)), None)
            voice = Voice("", SpeakerProfile(""), name=name)
            try_tts(self._service, self._order(SpeechRequest("", target, voice)))

    def serves(self, language: str) -> bool:
        return not self.options.languages or language in self.options.languages

    def voices(self, language: str) -> tuple[StockVoice, ...]:
        """Return the voices of the settings, else of the server's list, read once.

        Of a list, those made for other languages count only where there is no other: many servers
        read a text by the rules of the voice's own language.
        """
        if self.options.voices:
            return stock_voices([named_voice(each) for each in self.options.voices], language)
        if self._listed is None:
            with nullcontext(self._service) if self._service else closing(self._client()) as asked:
                self._listed = asked.voices()
        found = stock_voices(self._listed, language)
        return tuple(voice for voice in found if voice.native) or found

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
        order = self._order(request)
        speeds = self.options.fits_duration == "speed" and not self._ignores_speed
        if request.duration_s and speeds:
            return self._in_time(self._service, order, request)
        return Speech(*self._service.speak(order))

    def _in_time(self, service: TTSService, order: SpeechOrder, request: SpeechRequest) -> Speech:
        """Speak at the speed that gives the wanted length, once more if the answer is off."""
        wanted_s = request.duration_s or 1.0
        speed = _speed((request.natural_s or wanted_s) / wanted_s)
        first = Speech(*service.speak(order.model_copy(update={"speed": speed})))
        heard_s = first.samples.size / first.rate
        better = _speed(speed * heard_s / wanted_s)
        if abs(heard_s / wanted_s - 1) <= _CLOSE or abs(better / speed - 1) <= _CLOSE:
            return first
        second = Speech(*service.speak(order.model_copy(update={"speed": better})))
        again_s = second.samples.size / second.rate
        expected, found = abs(speed / better - 1), abs(again_s / max(heard_s, 0.01) - 1)
        if expected > _SURELY and found < expected / 4:
            self._ignores_speed = True
            _log.warning("the speech server ignores speed: lines are spoken at its own rate")
        return min((first, second), key=lambda s: abs(s.samples.size / s.rate - wanted_s))

    def _order(self, request: SpeechRequest) -> SpeechOrder:
        voice, options = request.voice, self.options
        extended = options.extensions != "never"
        ref = voice.ref if options.clones and extended else None
        chosen = voice.name or voice.profile.voices.get(request.language, options.voice)
        asks = options.fits_duration in (True, "duration_s") and extended
        return SpeechOrder(
            model=options.model,
            input=request.text,
            voice=chosen,
            language=request.language if extended else None,
            ref_audio=ref_url(ref) if ref else None,
            ref_text=voice.ref_text if ref else None,
            duration_s=request.duration_s if asks else None,
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
        return TTSService(server, host, extended=options.extensions == "always")


def _speed(wanted: float) -> float:
    return round(min(max(wanted, _SPEEDS[0]), _SPEEDS[1]), 3)
