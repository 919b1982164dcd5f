"""The espeak-ng library inside this process: one at a time, because it keeps its state in globals.

Everything goes through one lock. The library is initialised when the first user opens it and
terminated when the last one closes it (0.5 ms, measured over 2,000 rounds without growth), so that
nobody who is still speaking loses it.

Voices are set by file: a language's definition as espeak ships it, with our own lines after it.
Setting them by name would lose the variant without a word (``en-gb+f2``, ``fr-fr+f2``), and leave
the voice's flutter on, whose position survives even a restart of the library: no two renderings
would be alike. What else survives is a count of glottal cycles, which shapes every trilled r (the
period is four, in all 137 languages, measured): `EspeakSession.rewind` brings it to one value.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dubarr_pipeline.engines.interfaces import Samples
from dubarr_pipeline.engines.synthesis.espeak_voices import (
    data_folder,
    language_files,
    library_file,
)
from dubarr_pipeline.errors import EngineError, MissingRequirement

CURE = "pip install espeakng-loader"
SYNCHRONOUS, NO_EXIT_ON_ERROR = 2, 0x8000
RATE_WPM, VOLUME, UTF8 = 1, 2, 1
IPA, SEPARATOR = 0x02, ord("_") << 8
HEADROOM_VOLUME = 70
"""Of 100: at espeak's own default, loud vowels clip."""
NAME_BYTES = 16
PROBE_TEXT, PROBE_LANGUAGE, PROBE_WPM, QUICK_WPM = "erre", "es", 175, 350
PROBE_STATES = 4
"""The probe sounds in as many ways, in turn, as the count of glottal cycles has effects."""
LONGEST_DATA_PATH, LONGEST_VOICE_PATH = 150, 59
"""Bytes: the library cuts longer ones, the data's at 160, a voice's at 60 (measured)."""

WaveCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


@dataclass(slots=True)
class Loaded:
    """The initialised library, its sample rate in Hz, and the folder of our voice files.

    Attributes:
        callback: held here, so that it outlives every call of the library.
        heard: what the callback has been given since the last rendering.
        probe: the rate at which `PROBE_TEXT` is spoken, and how it sounds when it has brought about
            the state of `EspeakSession.rewind`.
    """

    library: ctypes.CDLL
    rate: int
    folder: tempfile.TemporaryDirectory[str]
    callback: ctypes._FuncPointer
    heard: list[bytes]
    probe: tuple[int, bytes] | None = None


class EspeakLibrary:
    """Opens and closes the one library of this process, and hands it to one caller at a time.

    Raises `MissingRequirement` if it is not installed, or cannot be loaded on this machine.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._users = 0
        self._loaded: Loaded | None = None

    def open(self) -> None:
        """Count one more user, and initialise the library for the first."""
        with self._lock:
            if self._loaded is None:
                self._loaded = _initialise()
            self._users += 1

    def close(self) -> None:
        """Count one user less, and terminate the library after the last."""
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._loaded is not None:
                self._loaded.library.espeak_Terminate()
                self._loaded.folder.cleanup()
                self._loaded = None

    @contextmanager
    def session(self) -> Iterator[EspeakSession]:
        """Hand the library to the caller alone; opens it for the time if nobody has."""
        with self._lock:
            self.open()
            try:
                assert self._loaded is not None
                yield EspeakSession(self._loaded)
            finally:
                self.close()


class EspeakSession:
    """Calls into the library while it is held."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    @property
    def rate(self) -> int:
        """Samples a second of everything that is rendered."""
        return self._loaded.rate

    def set_voice(self, definition: bytes) -> None:
        """Take this voice definition from here on. Raises `EngineError` if espeak refuses it."""
        path = Path(self._loaded.folder.name) / hashlib.sha256(definition).hexdigest()[:NAME_BYTES]
        if not path.exists():
            path.write_bytes(definition)
        if self._loaded.library.espeak_ng_SetVoiceByFile(str(path).encode()):
            raise EngineError(f"espeak-ng refuses the voice definition {definition[-200:]!r}")

    def rewind(self) -> None:
        """Bring what the library remembers of earlier lines to one and the same state.

        A word with a trill is spoken until it sounds in the first of its possible ways; in which
        of them it sounds is all that later renderings depend on. Takes 0.5 ms. Changes the voice.
        """
        self.set_voice(language_files()[PROBE_LANGUAGE].read_bytes() + b"\nflutter 0\n")
        if self._loaded.probe is None:
            first = PROBE_WPM, min(self._probes(PROBE_WPM))
            self._seek(*first)
            # At twice the rate it leads through the same states, at half the price.
            quick, again = self._probes(QUICK_WPM), self._probes(QUICK_WPM)
            alike = quick == again and len(set(quick)) == PROBE_STATES
            self._loaded.probe = (QUICK_WPM, quick[-1]) if alike else first
        self._seek(*self._loaded.probe)

    def _seek(self, words_per_minute: int, sound: bytes) -> None:
        for _ in range(PROBE_STATES):
            if self.render(PROBE_TEXT, words_per_minute).tobytes() == sound:
                return

    def _probes(self, words_per_minute: int) -> list[bytes]:
        """Return how the probe sounds in each state, from the next one on; the state is kept."""
        heard = (self.render(PROBE_TEXT, words_per_minute) for _ in range(PROBE_STATES))
        return [sound.tobytes() for sound in heard]

    def render(self, text: str, words_per_minute: int) -> Samples:
        """Speak `text` in the voice that was set: mono float32 ``(samples,)``, edges untrimmed."""
        library, heard = self._loaded.library, self._loaded.heard
        heard.clear()
        library.espeak_SetParameter(RATE_WPM, words_per_minute, 0)
        library.espeak_SetParameter(VOLUME, HEADROOM_VOLUME, 0)
        encoded = text.encode()
        size = ctypes.c_size_t(len(encoded) + 1)
        failed = library.espeak_Synth(encoded, size, 0, 1, 0, UTF8, None, None)
        sound = np.frombuffer(b"".join(heard), dtype=np.int16)
        heard.clear()
        if failed:
            raise EngineError(f"espeak-ng could not speak {text[:80]!r} (status {failed})")
        return sound.astype(np.float32) / np.float32(32768)

    def phonemes(self, text: str) -> list[str]:
        """Return the IPA of each clause, phonemes parted by ``_``, words by a space."""
        buffer = ctypes.create_string_buffer(text.encode())
        cursor = ctypes.c_void_p(ctypes.addressof(buffer))
        clauses: list[str] = []
        while cursor.value:
            clause = self._loaded.library.espeak_TextToPhonemes(
                ctypes.byref(cursor), UTF8, IPA | SEPARATOR
            )
            clauses.append(clause.decode() if clause else "")
        return [clause for clause in clauses if clause.strip()]


def _initialise() -> Loaded:
    try:
        library = ctypes.CDLL(str(library_file()))
    except OSError as fault:
        raise MissingRequirement(f"espeak-ng cannot be loaded ({fault}); {CURE}") from fault
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    pointer = ctypes.POINTER(ctypes.c_void_p)
    library.espeak_TextToPhonemes.argtypes = [pointer, ctypes.c_int, ctypes.c_int]
    folder = tempfile.TemporaryDirectory(prefix="dubarr-espeak-")
    if len(folder.name.encode()) + 1 + NAME_BYTES > LONGEST_VOICE_PATH:
        folder.cleanup()
        folder = tempfile.TemporaryDirectory(prefix="dubarr-espeak-", dir="/tmp")
    heard: list[bytes] = []

    def collect(wave: ctypes.c_void_p, samples: int, _events: ctypes.c_void_p) -> int:
        if wave and samples > 0:
            heard.append(ctypes.string_at(wave, samples * 2))
        return 0

    callback = WaveCallback(collect)
    data = str(data_folder())
    if len(data.encode()) > LONGEST_DATA_PATH:
        # A link to it does not exceed espeak's buffer.
        link = Path(folder.name) / "espeak-ng-data"
        with contextlib.suppress(FileExistsError):
            link.symlink_to(data, target_is_directory=True)
        data = str(link)
    rate = library.espeak_Initialize(SYNCHRONOUS, 0, data.encode(), NO_EXIT_ON_ERROR)
    if rate <= 0:
        folder.cleanup()
        raise MissingRequirement(f"espeak-ng cannot read its data in {data_folder()}; {CURE}")
    library.espeak_SetSynthCallback(callback)
    return Loaded(library, rate, folder, callback, heard)


ESPEAK = EspeakLibrary()
"""The one of this process."""
