from __future__ import annotations

import base64
import io
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.errors import OutOfMemory
from dubarr_pipeline.services.speech_server import BODY_LIMIT, TEXT_LIMIT, LineToSpeak, SpeechServer
from dubarr_pipeline.services.xtts_model import BORDERS, XTTS_LANGUAGES, xtts_language
from dubarr_pipeline.text.sentences import pieces

TOKEN = "a-long-random-token"


class Hummer:
    """A model that notes what it was asked, and never likes to be asked twice at once."""

    name, rate, voices, languages = "hum", 24000, ("Ana", "Bea"), ("es", "zh")

    def __init__(self) -> None:
        self.asked: list[LineToSpeak] = []
        self.busy = threading.Lock()
        self.awake = True
        self.before: Callable[[], object] = lambda: None
        self.fault: Exception | None = None

    def serves(self, language: str) -> bool:
        return language in self.languages

    def speak(self, wanted: LineToSpeak) -> np.ndarray[Any, np.dtype[np.float32]]:
        assert self.busy.acquire(blocking=False), "two lines at once"
        self.asked.append(wanted)
        self.before()
        time.sleep(0.002)
        self.busy.release()
        if self.fault:
            raise self.fault
        return 0.5 * np.sin(np.arange(12000) / 20).astype(np.float32)

    def sleep(self) -> None:
        self.awake = False

    def wake(self) -> None:
        self.awake = True


@pytest.fixture
def model() -> Hummer:
    return Hummer()


@pytest.fixture
def client(model: Hummer) -> Iterator[httpx.Client]:
    server = SpeechServer(model, "127.0.0.1", 0, TOKEN).web
    thread = threading.Thread(target=server.serve)
    thread.start()
    address, headers = (
        server.url,
        {"Authorization": f"Bearer {TOKEN}"},
    )
    with httpx.Client(base_url=address, headers=headers, trust_env=False) as found:
        yield found
    server.stop()
    thread.join()
    server.close()


def ref(seconds: float, level: float = 0.1) -> str:
    stream = io.BytesIO()
    noise = level * np.random.default_rng(1).standard_normal(round(seconds * 16000))
    soundfile.write(stream, noise.astype(np.float32), 16000, format="WAV")
    return "data:audio/wav;base64," + base64.b64encode(stream.getvalue()).decode()


def speak(client: httpx.Client, **wishes: Any) -> httpx.Response:
    return client.post("/v1/audio/speech", json={"input": "Hola.", "language": "es", **wishes})


def test_a_line_is_spoken_with_what_was_wished(client: httpx.Client, model: Hummer):
    answer = speak(client, model="hum", voice="x", ref_audio=ref(3), ref_text="Yo.", duration_s=0.6)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "audio/wav"
    sound, rate = soundfile.read(io.BytesIO(answer.content))
    assert (sound.shape, rate) == ((12000,), 24000)
    (wanted,) = model.asked
    assert (wanted.text, wanted.language, wanted.duration_s) == ("Hola.", "es", 0.6)
    assert wanted.ref is not None
    assert (wanted.ref.size, wanted.ref_rate, wanted.ref_text) == (48000, 16000, "Yo.")
    speak(client, ref_audio=ref(3))
    speak(client, ref_audio=ref(4))
    digests = [each.ref_digest for each in model.asked]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(("kind", "media"), [("flac", "audio/flac"), ("mp3", "audio/mpeg")])
def test_formats(client: httpx.Client, kind: str, media: str):
    answer = speak(client, response_format=kind)
    assert answer.headers["content-type"] == media
    sound, rate = soundfile.read(io.BytesIO(answer.content))
    assert rate == 24000
    assert len(sound) == pytest.approx(12000, abs=2400)
    assert len(speak(client, response_format="pcm").content) == 24000


@pytest.mark.parametrize(
    ("wishes", "code", "words"),
    [
        ({"language": None}, "language_missing", "served: es, zh"),
        ({"language": "fr"}, "language_not_served", "'fr' is not served; served: es, zh"),
        ({"language": "zh-HK"}, "language_not_served", "zh-HK"),
        ({"input": "¿...?"}, "unspeakable", "nothing to pronounce"),
        ({"input": "a" * (TEXT_LIMIT + 1)}, "text_too_long", f"{TEXT_LIMIT} at most"),
        ({"input": None}, "invalid_request", "input"),
        ({"speed": 9}, "invalid_request", "speed"),
        ({"duration_s": 0}, "invalid_request", "duration_s"),
        ({"response_format": "opus"}, "invalid_request", "wav"),
        ({"voice": "Zoe"}, "voice_not_found", "Ana, Bea"),
        ({"ref_audio": ref(0.99)}, "ref_too_short", "0.99 s long; it must be 1 to"),
        ({"ref_audio": ref(1.5, level=0.0)}, "ref_silent", "silent"),
        ({"ref_audio": "data:audio/wav;base64,AAAA"}, "ref_unreadable", "not audio"),
        ({"ref_audio": "data:audio/wav;base64,%%%"}, "ref_unreadable", "not audio"),
    ],
)
def test_what_cannot_be_served_is_named(
    client: httpx.Client, model: Hummer, wishes: dict[str, Any], code: str, words: str
):
    answer = speak(client, **wishes)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == code
    assert words in error["message"]
    assert not model.asked
    assert speak(client).status_code == 200


def test_limits_themselves_are_served(client: httpx.Client):
    assert speak(client, input="a" * TEXT_LIMIT).status_code == 200
    assert speak(client, ref_audio=ref(1.0)).status_code == 200


@pytest.mark.parametrize(
    "shown", [None, "", "Bearer", "Bearer wrong", f"Bearer {TOKEN}x", "Bearer ñ"]
)
def test_without_the_token_nothing_but_health_is_told(
    client: httpx.Client, model: Hummer, shown: str | None
):
    headers = {} if shown is None else {"Authorization": shown.encode()}
    bare = httpx.Client(base_url=client.base_url, headers=headers, trust_env=False)
    with bare:
        assert bare.get("/health").json() == {"status": "ok", "model": "hum"}
        assert bare.get("/v1/models").status_code == 401
        assert bare.post("/sleep").status_code == 401
        assert speak(bare).json()["error"]["code"] == "invalid_token"
    assert not model.asked
    assert model.awake


def test_models_paths_and_bodies(client: httpx.Client):
    assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["hum"]
    voices = client.get("/v1/audio/voices").json()["voices"]
    assert [voice["id"] for voice in voices] == ["Ana", "Bea"]
    assert speak(client, model="tts-1").status_code == 404
    assert "served: hum" in speak(client, model="tts-1").text
    assert client.get("/v1/audio/speech").status_code == 404
    assert client.post("/v1/audio/speech", content=b"no json").status_code == 400
    assert client.post("/v1/audio/speech", content=iter([b"{}"])).status_code == 411


def test_a_body_too_large_is_refused_before_it_is_read(client: httpx.Client):
    with socket.create_connection(("127.0.0.1", client.base_url.port or 0)) as wire:
        wire.sendall(
            b"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\n"
            + f"authorization: Bearer {TOKEN}\r\ncontent-length: {BODY_LIMIT + 1}\r\n\r\n".encode()
        )
        assert b" 413 " in wire.recv(4096)


def test_a_client_that_hangs_up_harms_nobody(client: httpx.Client):
    with socket.create_connection(("127.0.0.1", client.base_url.port or 0)) as wire:
        wire.sendall(b"POST /v1/audio/speech HTTP/1.1\r\ncontent-length: 100\r\n\r\n{")
    assert speak(client).status_code == 200


def test_a_client_that_hangs_up_while_it_waits_is_passed_over(client: httpx.Client, model: Hummer):
    free = threading.Event()
    model.before = free.wait
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(speak, client, input="Primera.")
        while not model.asked:
            time.sleep(0.01)
        body = b'{"input": "Nadie espera.", "language": "es"}'
        head = f"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n"
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", client.base_url.port or 0)) as wire:
                wire.sendall(head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body)
                time.sleep(0.1)
        free.set()
        assert first.result().status_code == 200
    assert speak(client, input="Segunda.").status_code == 200
    assert [line.text for line in model.asked] == ["Primera.", "Segunda."]


def test_a_model_that_fails_is_named(client: httpx.Client, model: Hummer):
    model.fault = ValueError("bad tensor")
    answer = speak(client)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "model_failed")
    model.fault = None
    assert speak(client).status_code == 200


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "pcm"])
def test_samples_that_are_no_numbers_are_named(client: httpx.Client, model: Hummer, kind: str):
    model.speak = lambda _: np.full(12_000, np.nan, np.float32)
    answer = speak(client, response_format=kind)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "model_failed")


def sound(samples: np.ndarray, rate: int, kind: str = "WAV") -> str:
    stream = io.BytesIO()
    subtype = {"WAV": "FLOAT", "FLAC": "PCM_16"}[kind]
    soundfile.write(stream, samples, rate, format=kind, subtype=subtype)
    return base64.b64encode(stream.getvalue()).decode()


@pytest.mark.parametrize(
    ("odd", "code"),
    [
        (np.r_[np.ones(9_000), np.inf].astype(np.float32), "ref_unreadable"),
        (np.r_[np.ones(9_000), np.full(40_000, np.nan)].astype(np.float32), "ref_unreadable"),
    ],
)
def test_a_reference_that_holds_no_numbers_is_refused(
    client: httpx.Client, odd: np.ndarray, code: str
):
    assert speak(client, ref_audio=sound(odd, 8_000)).json()["error"]["code"] == code


@pytest.mark.parametrize("rate", [1, 1_000, 500_000])
def test_a_reference_at_a_rate_that_is_no_sounds_is_refused(client: httpx.Client, rate: int):
    answer = speak(client, ref_audio=sound(np.ones(rate * 2, np.float32), rate))
    assert answer.json()["error"]["code"] == "ref_unreadable"


def test_a_long_silence_in_few_bytes_is_refused_by_its_header(client: httpx.Client):
    packed = sound(np.zeros(2 * 3600 * 8_000, np.float32), 8_000, "FLAC")
    assert len(packed) < 500_000
    tracemalloc.start()
    answer = speak(client, ref_audio=packed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.json()["error"]["code"] == "ref_too_long"
    assert peak < 20e6


@pytest.mark.parametrize("field", ["voice", "model", "language"])
def test_a_refusal_quotes_little(client: httpx.Client, field: str):
    answer = speak(client, **{field: "x" * 5_000_000})
    assert answer.status_code in (400, 404)
    assert len(answer.content) < 2_000


def test_lines_that_come_together_are_spoken_one_by_one(client: httpx.Client, model: Hummer):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: speak(client, input=f"Hola {n}.").status_code, range(24)))
    assert answers == [200] * 24
    assert {wanted.text for wanted in model.asked} == {f"Hola {n}." for n in range(24)}


def test_running_out_of_memory_and_missing_packages_are_named(client: httpx.Client, model: Hummer):
    model.fault = OutOfMemory("no more")
    answer = speak(client)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    model.fault = ImportError("no module pypinyin")
    assert "pypinyin" in speak(client, language="zh").json()["error"]["message"]
    model.fault = None
    assert speak(client).status_code == 200


def test_it_sleeps_and_wakes(client: httpx.Client, model: Hummer):
    assert client.post("/sleep").status_code == 200
    assert not model.awake
    assert client.post("/wake_up").status_code == 200
    assert model.awake


@pytest.mark.parametrize(
    ("language", "code"),
    [
        *((language, language) for language in XTTS_LANGUAGES if language != "zh"),
        ("zh", "zh-cn"),
        ("zh-CN", "zh-cn"),
        ("zh_Hans", "zh-cn"),
        ("cmn", "zh-cn"),
        ("es-MX", "es"),
        ("pt-BR", "pt"),
        ("zh-TW", None),
        ("zh-HK", None),
        ("yue", None),
        ("ca", None),
        ("", None),
        ("english", None),
    ],
)
def test_languages_are_served_as_themselves_or_not_at_all(language: str, code: str | None):
    assert xtts_language(language) == code


TEXTS = st.text(st.sampled_from("ab ñ。.,!?… 的、")) | st.text()


def text_pieces(text: str, limit: int) -> list[str]:
    return pieces(text, limit, BORDERS)


@given(TEXTS, st.integers(1, 40))
def test_pieces_lose_nothing_and_are_never_too_long(text: str, limit: int):
    parts = text_pieces(text, limit)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(0 < len(piece) <= limit for piece in parts)


def test_pieces_end_where_one_breathes():
    text = "Era de noche. Llovía, y nadie vino; nadie. ¡Adiós!"
    assert text_pieces(text, 100) == [text]
    assert text_pieces(text, 29) == ["Era de noche.", "Llovía, y nadie vino; nadie.", "¡Adiós!"]
    assert text_pieces("Llovía, y nadie vino", 14) == ["Llovía,", "y nadie vino"]
    assert text_pieces("abcdefgh", 3) == ["abc", "def", "gh"]
    assert text_pieces("", 5) == []
