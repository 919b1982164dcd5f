"""Apertium's language pairs and their programs, which are kept running.

A mode file holds the pipeline of programs of one direction, as a shell line:
``/usr/share/apertium/modes/eng-cat_valencia.mode``. A line takes 2 ms; started for each line, the
programs would take 0.4 s. They end when their input is closed, so that they cannot outlive this
process, which alone holds the writing end. (A parent-death signal would be wrong here: it fires
when the *thread* that started them ends.)
"""

import itertools
import os
import selectors
import shlex
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import langcodes
from langcodes.tag_parser import LanguageTagError

from dubarr_pipeline.errors import EngineError, MissingRequirement
from dubarr_pipeline.text.printable import install_cure
from dubarr_pipeline.text.tables import read_table

CHUNK_BYTES = 4096
"""Size of a write: less than a pipe holds, so that a write to a ready pipe never blocks."""
LAST_WORDS_BYTES = 400
VARIANTS = {"valencia": "valencia", "aran": "aranes"}
"""Variety in a mode's name -> BCP-47 variant."""
NAMES = {"hbs": "sh", "hbs_BS": "bs", "hbs_HR": "hr", "hbs_SR": "sr-Latn", "zlm": "ms", "nor": "no"}
"""Apertium's names that are no BCP-47 tags, or other ones; ``sh`` is all that is spoken like it."""
ALIKE = {"bs": "sh", "hr": "sh", "sr": "sh", "no": "nb", "nn": "nb"}
"""Language -> the one under which Apertium's pairs have it."""
HOMES = {"pt": None, "en": "GB"}
"""Territory of a language's general mode, if it is not that of the most speakers."""


@dataclass(frozen=True, slots=True)
class Mode:
    """One direction of translation: BCP-47 languages, and the file with its programs."""

    source: str
    target: str
    path: Path


def installed_modes(folder: Path) -> dict[tuple[str, str], Mode]:
    """Return every installed direction, without spelling norms within a language."""
    modes: dict[tuple[str, str], Mode] = {}
    for path in sorted(folder.glob("*.mode")):
        source, _, target = path.stem.partition("-")
        tags = (_bcp47(source), _bcp47(target))
        if all(tags):
            modes.setdefault(tags, Mode(*tags, path))
    return modes


def find_mode(modes: dict[tuple[str, str], Mode], source: str, target: str) -> Mode | None:
    """Return the direction between two BCP-47 languages, or None if it is not installed.

    A source may be of any region; a target region is served only by a mode of its own, or by the
    general mode if it is the language's home (``es-ES``; Portuguese has two).
    """
    try:
        wanted = langcodes.Language.get(target)
    except LanguageTagError:
        return None
    base = wanted.language or "und"
    home = HOMES.get(base, langcodes.Language.get(base).maximize().territory)
    general = "" if wanted.variants or wanted.territory != home else base
    if wanted.script and not wanted.variants:
        general = f"{base}-{wanted.script}"
    tags = [wanted.to_tag(), general, *(["nb"] if "no" in (wanted.to_tag(), general) else [])]
    pairs = itertools.product(_origins(source), tags)
    return next((modes[pair] for pair in pairs if pair in modes), None)


def targets_of(modes: dict[tuple[str, str], Mode], source: str) -> tuple[str, ...]:
    """Return the targets of a source language."""
    origins = _origins(source)
    return tuple(sorted({to for origin, to in modes if origin in origins and to != "sh"}))


def _origins(source: str) -> tuple[str, ...]:
    """Return the languages whose modes read a source."""
    language = _language_of(source)
    like = ALIKE.get(language, language)
    return (language,) if language == "nn" else (language, like)


def package_for(source: str, target: str) -> str | None:
    """Return Debian's package for a pair of BCP-47 languages, or None."""

    def pair_of(*names: str) -> set[str]:
        found = (_language_of(NAMES.get(name, name)) for name in names)
        return {ALIKE.get(language, language) for language in found}

    wanted = pair_of(source, target)
    packaged = read_table("dubarr_pipeline.engines", "languages")["apertium"].split()
    packages = (pair for pair in packaged if pair_of(*pair.split("-")) == wanted)
    return next((f"apertium-{pair}" for pair in packages), None)


def read_programs(mode: Mode) -> list[list[str]]:
    """Return the commands of a mode, set to flush after every NUL and to mark unknown words."""
    programs: list[list[str]] = [[]]
    for word in shlex.split(mode.path.read_text("utf-8"), comments=True):
        if word == "|":
            programs.append([])
        elif word != "$2":
            programs[-1].append("-g" if word == "$1" else word)
    if not all(programs):
        raise EngineError(f"{mode.path} is not a pipeline of programs; reinstall the language pair")
    return [[program, "-z", *arguments] for program, *arguments in programs]


def _bcp47(name: str) -> str:
    """Return ``ca-valencia`` for ``cat_valencia``; empty for names without a tag."""
    if name in NAMES:
        return NAMES[name]
    code, *qualifiers = name.split("_")
    tag = _language_of(code)
    for qualifier in qualifiers:
        if qualifier in VARIANTS:
            tag += f"-{VARIANTS[qualifier]}"
        elif len(qualifier) == 2 and qualifier.isupper():
            tag += f"-{qualifier}"
        else:
            return ""
    return tag


def _language_of(tag: str) -> str:
    try:
        return langcodes.Language.get(tag).language or ""
    except LanguageTagError:
        return ""


class ProgramPipeline:
    """A pipeline of programs that answers NUL by NUL. Not thread-safe."""

    def __init__(self, programs: list[list[str]], timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            for program in programs:
                self._processes.append(self._start(program))
        except (OSError, MissingRequirement):
            self.close()
            raise
        first, last = self._processes[0].stdin, self._processes[-1].stdout
        assert first is not None
        assert last is not None
        self._input, self._output = first, last
        os.set_blocking(first.fileno(), False)
        os.set_blocking(last.fileno(), False)

    @property
    def process_ids(self) -> tuple[int, ...]:
        """Ids of the programs, for measuring memory."""
        return tuple(process.pid for process in self._processes)

    def _start(self, program: list[str]) -> subprocess.Popen[bytes]:
        before = self._processes[-1].stdout if self._processes else None
        try:
            process = subprocess.Popen(
                program,
                stdin=before or subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
                start_new_session=True,  # Ctrl-C is ours to handle
                env={**os.environ, "LC_ALL": "C.UTF-8"},
            )
        except FileNotFoundError as fault:
            raise MissingRequirement(
                f"{program[0]} is not installed: {install_cure('apertium')}"
            ) from fault
        if before is not None:
            before.close()  # else the previous program would not notice its reader's death
        return process

    def exchange(self, request: bytes) -> bytes:
        """Send one text without NULs through the pipeline, and return the output.

        Raises:
            EngineError: if a program has died, or no answer came in time; the pipeline is unusable
                from then on.
        """
        outgoing, incoming = memoryview(request + b"\0"), bytearray()
        deadline = time.monotonic() + self._timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            selector.register(self._input, selectors.EVENT_WRITE)
            while not incoming.endswith(b"\0"):
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    raise EngineError(f"no answer in {self._timeout_s:g} s{self._last_words()}")
                for key, _ in ready:
                    if key.fileobj is self._input:
                        outgoing = self._write(outgoing)
                        if not outgoing:
                            selector.unregister(self._input)
                    else:
                        received = self._output.read(65536)
                        if received == b"":
                            raise EngineError(f"a program has ended{self._last_words()}")
                        incoming += received or b""
        return bytes(incoming[:-1])

    def _write(self, outgoing: memoryview) -> memoryview:
        try:
            return outgoing[self._input.write(outgoing[:CHUNK_BYTES]) or 0 :]
        except BrokenPipeError as fault:
            raise EngineError(f"a program has ended{self._last_words()}") from fault

    def _last_words(self) -> str:
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - LAST_WORDS_BYTES))
        words = self._errors.read().decode("utf-8", "replace").strip()
        return f": {words}" if words else ""

    def close(self) -> None:
        """End every program and wait for it."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
            process.wait()
        self._processes.clear()
        self._errors.close()
