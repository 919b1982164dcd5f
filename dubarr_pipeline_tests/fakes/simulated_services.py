"""A pretended LLM and TTS server: deterministic, over real HTTP, as slow and as wicked as told.

For tests, dry runs and benchmarks. It speaks the same wire formats as the real ones. Its "Spanish"
is made of small words drawn by chance from a seed, its voice is a tone of a plausible length with
some noise. Each kind of service has slots; a call holds one for the time that is stated for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import io
import itertools
import json
import random
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
import soundfile

from dubarr_pipeline.text.syllables import syllables
from dubarr_pipeline_tests.fakes.simulated_reader import answer as answer_reader
from dubarr_pipeline_tests.fakes.simulated_reader import reads

Fault = Literal[
    "ok",
    "hang",
    "error",
    "garbage",
    "missing_id",
    "duplicate_id",
    "echo",
    "wrong_language",
    "wrong_script",
    "empty",
    "silence",
    "babble",
]
"""``ok`` to ``garbage``: both services; up to ``empty``: the LLM; the last two: the TTS."""

_VOCABULARY: Mapping[str, str] = {
    "es": "el la los de que y en un una por con para no se lo como pero casa puerta noche mira "
    "tiempo mañana siempre nunca hombre mujer ciudad camino verdad dinero agua trabajo",
    "ca": "el la els de que i en un una per amb no es ho com però està això casa porta nit mira "
    "temps sempre mai home dona ciutat camí veritat diners aigua feina demà",
    "fr": "le la les des que et en un une est pour avec pas ce il elle vous mais maison porte nuit "
    "temps toujours jamais homme femme ville chemin argent eau travail demain",
}
_ENGLISH = "the of and to is was you that it he she for are with this have not what they his"
SYLLABLES_PER_S = 6.0


@dataclass(frozen=True, slots=True)
class SimulatedOptions:
    """How the pretended servers behave.

    Attributes:
        llm_slots, tts_slots: calls answered at once; others wait.
        draft_line_s, rewrite_s: an LLM call takes so long per drafted line, or per rewording.
        take_s, take_per_s: a TTS call takes `take_s` plus `take_per_s` for each second of speech.
        time_scale: all of these times are multiplied by it: 0.1 runs ten times faster.
        noise: standard deviation of spoken lengths, relative.
        misfit: share of lines whose draft is far too long in all its versions.
        voice_spread: standard deviation of the paces of the voices, relative.
        rate: samples per second of the pretended voice.
    """

    llm_slots: int = 4
    tts_slots: int = 4
    draft_line_s: float = 0.0
    rewrite_s: float = 0.0
    take_s: float = 0.0
    take_per_s: float = 0.0
    time_scale: float = 1.0
    noise: float = 0.0
    misfit: float = 0.0
    voice_spread: float = 0.0
    seed: int = 1
    rate: int = 8000


@dataclass(slots=True)
class SimulatedRecord:
    """What the pretended servers were asked.

    Attributes:
        order: every call as it began to be worked, e.g. ``"draft es 0"``, ``"speak es"``.
        work_s: stated seconds of work by service, scaled.
        most_at_once: highest number of calls in work by service.
        spoken: how often each text was spoken.
    """

    order: list[str] = field(default_factory=list[str])
    work_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    most_at_once: Counter[str] = field(default_factory=Counter[str])
    spoken: Counter[str] = field(default_factory=Counter[str])


class _Slots:
    """So many at once; those with the lowest priority number first, then in order of arrival."""

    def __init__(self, slots: int) -> None:
        self.running, self._slots = 0, slots
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    async def enter(self, priority: int) -> None:
        if self.running < self._slots:
            self.running += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._order), turn))
        await turn

    def leave(self) -> None:
        while self._waiting:
            turn = heapq.heappop(self._waiting)[2]
            if not turn.done():
                turn.set_result(None)
                return
        self.running -= 1


class SimulatedServer:
    """Both services at one address, in a thread of its own; a context manager.

    Attributes:
        url: to be given to the clients, with its ``/v1``.
        record: what was asked so far.
    """

    def __init__(self, options: SimulatedOptions | None = None, port: int = 0) -> None:
        self.options = options or SimulatedOptions()
        self.record = SimulatedRecord()
        self.port = port
        self._due: ContextVar[float] = ContextVar("due", default=0.0)
        self._faults: dict[str, tuple[Fault, float]] = {}
        self._draws = random.Random(self.options.seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="simulated-server", daemon=True)
        self._started = threading.Event()
        self._slots = {"llm": _Slots(self.options.llm_slots), "tts": _Slots(self.options.tts_slots)}

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.die()

    def misbehave(self, service: Literal["llm", "tts"], fault: Fault, share: float = 1.0) -> None:
        """From now on, answer this share of a service's calls in this wrong way."""
        self._faults[service] = (fault, share)

    def die(self) -> None:
        """Cut all connections and stop listening. Harmless when it is dead already."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", self.port)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read_request(reader)) is not None:
                path, body = request
                status, kind, answer = await self._answer(path, body)
                head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n"
                writer.write(f"{head}content-length: {len(answer)}\r\n\r\n".encode() + answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, body: bytes) -> tuple[int, str, bytes]:
        if path.endswith("/models"):
            return 200, "application/json", b'{"data": []}'
        if path.endswith("/audio/voices"):
            return 404, "application/json", b"{}"
        document = json.loads(body)
        service = "llm" if path.endswith("/chat/completions") else "tts"
        fault = self._draw_fault(service)
        if fault == "hang":
            await asyncio.sleep(3600)
        slots = self._slots[service]
        await slots.enter(int(document.get("priority", 0)))
        try:
            most = self.record.most_at_once
            most[service] = max(most[service], slots.running)
            answer = (self._chat if service == "llm" else self._speak)(document, fault)
            await asyncio.sleep(max(0.0, self._due.get() - self._loop.time()))
            return answer
        finally:
            slots.leave()

    def _draw_fault(self, service: str) -> Fault:
        fault, share = self._faults.get(service, ("ok", 0.0))
        return fault if self._draws.random() < share else "ok"

    def _begin(self, service: str, what: str, seconds: float) -> None:
        """Note a call that has its slot, and when it will be answered at the earliest."""
        self.record.order.append(what)
        scaled = seconds * self.options.time_scale
        self.record.work_s[service] += scaled
        self._due.set(self._loop.time() + scaled)

    def _chat(self, document: Mapping[str, Any], fault: Fault) -> tuple[int, str, bytes]:
        reply = self._reply(document["messages"][-1]["content"], fault)
        if fault == "error":
            return 500, "text/plain", b"out of order"
        content = "I am sorry, I cannot" if fault == "garbage" else json.dumps(reply)
        message = {"role": "assistant", "content": content}
        usage = {"prompt_tokens": 100, "completion_tokens": len(content) // 4}
        answer = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
        return 200, "application/json", json.dumps(answer).encode()

    def _reply(self, question: str, fault: Fault) -> object:
        if not question.startswith("{"):
            self._begin("llm", "preflight", 0.0)
            return {"answer": 7}
        told = json.loads(question)
        return self._read(told) if reads(told) else self._translate(told, fault)

    def _read(self, told: Mapping[str, Any]) -> object:
        what, reply = answer_reader(told)
        self._begin("llm", what, self.options.rewrite_s)
        return reply

    def _translate(self, told: Mapping[str, Any], fault: Fault) -> object:
        language, lines = told["target_language"], told.get("lines")
        if lines is None:
            self._begin("llm", f"rewrite {language} {told['id']}", self.options.rewrite_s)
            return {"text": self._reworded(told, language, fault)}
        spent_s = len(lines) * self.options.draft_line_s
        self._begin("llm", f"draft {language} {lines[0]['id']}", spent_s)
        return {"lines": self._drafts(lines, language, fault)}

    def _drafts(self, lines: list[dict[str, Any]], language: str, fault: Fault) -> list[object]:
        drafted: list[object] = []
        for line in lines:
            misfit = (
                _chance(self.options.seed, language, line["id"], line["text"]) < self.options.misfit
            )
            wanted_s = line["seconds"] * (1.9 if misfit else 1.0)
            versions = {
                name: _lied(fault, line["text"])
                or sentence(language, f"{line['text']}{line['id']}{name}", wanted_s * share)
                for name, share in (("short", 0.85), ("normal", 0.98), ("long", 1.13))
            }
            drafted.append({"id": line["id"], **versions})
        if fault == "missing_id":
            return drafted[1:]
        return [*drafted, drafted[0]] if fault == "duplicate_id" else drafted

    def _reworded(self, told: Mapping[str, Any], language: str, fault: Fault) -> str:
        seed = f"{told['source']}{told['id']}{len(told['tried'])}{told['translation']}"
        ratio = told["wanted_seconds"] / max(told["measured_seconds"], 0.05)
        wanted_s = ratio * syllables(told["translation"], language) / SYLLABLES_PER_S
        return _lied(fault, told["source"]) or sentence(language, seed, wanted_s)

    def _pace(self, voice: str) -> float:
        """How much longer than others this voice takes for everything; always the same."""
        spread = random.Random(f"{self.options.seed}{voice}").gauss(0, self.options.voice_spread)
        return min(max(1 + spread, 0.75), 1.33)

    def _speak(self, document: Mapping[str, Any], fault: Fault) -> tuple[int, str, bytes]:
        text, language = document["input"], document.get("language") or "es"
        spoken_s = syllables(text, language) / SYLLABLES_PER_S
        chance = random.Random(f"{self.options.seed}{text}")
        spoken_s *= min(max(1 + chance.gauss(0, self.options.noise), 0.7), 1.4)
        spoken_s *= self._pace(str(document.get("voice")))
        self.record.spoken[f"{language} {text}"] += 1
        work_s = self.options.take_s + self.options.take_per_s * spoken_s
        self._begin("tts", f"speak {language}", work_s)
        if fault == "error":
            return 500, "text/plain", b"out of order"
        if fault == "garbage":
            return 200, "text/plain", b"no sound here"
        spoken_s = document.get("duration_s") or spoken_s
        return 200, "audio/wav", _tone(max(0.1, spoken_s), self.options.rate, fault)


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, bytes] | None:
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *fields = head.decode("latin-1").split("\r\n")
    length = next((f.split(":")[1] for f in fields if f.lower().startswith("content-length:")), "0")
    return first.split(" ")[1], await reader.readexactly(int(length))


def sentence(language: str, seed: str, seconds: float) -> str:
    """A made-up sentence that takes about so long to say; always the same for a seed."""
    words = _VOCABULARY.get(language.split("-")[0], _VOCABULARY["es"]).split()
    chance = random.Random(f"{language}{seed}")
    wanted, said, found = seconds * SYLLABLES_PER_S, 0.0, list[str]()
    while not found or said < wanted - 0.5:
        word = chance.choice(words)
        found.append(word)
        said += syllables(word, language)
    return " ".join(found).capitalize() + "."


def _lied(fault: Fault, source: str) -> str | None:
    """What the LLM says instead of a translation, or None where it is honest."""
    if fault == "wrong_language":
        return " ".join(random.Random(source).choices(_ENGLISH.split(), k=12)).capitalize() + "."
    lies = {"echo": source, "wrong_script": "Это совсем другой язык.", "empty": "..."}
    return lies.get(fault)


def _chance(*facts: object) -> float:
    """A number in [0, 1) that always is the same for the same facts."""
    digest = hashlib.blake2b(repr(facts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _tone(seconds: float, rate: int, fault: Fault) -> bytes:
    seconds *= 6 if fault == "babble" else 1
    time_s = np.arange(round(seconds * rate)) / rate
    level = 0.0 if fault == "silence" else 0.3
    samples = (level * np.sin(2 * np.pi * 180 * time_s)).astype(np.float32)
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format="WAV", subtype="PCM_16")
    return stream.getvalue()
