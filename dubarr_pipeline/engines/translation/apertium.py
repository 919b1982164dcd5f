"""Apertium: translation by rules and dictionaries, on any machine; correct in plain sentences.

Free and instant, good between related languages, often wrong on idiom between unrelated ones. It
cannot rephrase: a line has one wording, and a shorter one if it can lose words.
"""

import json
import logging
import os
import re
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

from dubarr_pipeline.engines.interfaces import Draft, DraftBatch, LineToDraft, Need, Translator
from dubarr_pipeline.engines.translation.apertium_pipeline import (
    Mode,
    ProgramPipeline,
    find_mode,
    installed_modes,
    package_for,
    read_programs,
    targets_of,
)
from dubarr_pipeline.engines.translation.apertium_text import (
    Name,
    addresses,
    is_echo,
    plain_sentences,
    plainer_wording,
    polish,
    protect_names,
    restore_names,
    sentences,
    shorter_wording,
    titled_names,
)
from dubarr_pipeline.errors import EngineError, LanguageError, LineError, MissingRequirement
from dubarr_pipeline.text.languages import closeness
from dubarr_pipeline.text.printable import install_cure

logger = logging.getLogger(__name__)

MOST_UNKNOWN = 0.5
"""Largest share of unknown words in a translated line of three words or more."""
DEATHS_IN_A_ROW = 3
"""So many unanswered lines in a row are a fault of the programs, not of the lines."""
TAIL = "[]\n"
"""End of every text: without a blank, `lt-proc -b` keeps its last word in the buffer."""
STREAM_SIGNS = re.compile(r"([\\^$\[\]{}<>/])")
STREAM_TOKEN = re.compile(
    r"(?P<mark>\\?[*@#](?=\w))|\\(?P<escaped>.)|\[(?P<blank>(?:\\.|[^\]\\])*)\]|(?P<plain>.)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class ApertiumOptions:
    """Options of Apertium.

    Attributes:
        modes: folder of mode files; not set: that of the installed packages.
        timeout_s: longest wait for one sentence, in seconds (usual: 0.002 s; the first one 0.5 s).
    """

    modes: Path | None = None
    timeout_s: float = 20.0


class ApertiumTranslator(Translator):
    """Translates by the installed Apertium pairs, of which `needs` lists some, or any."""

    name: ClassVar[str] = "apertium"
    can_rewrite: ClassVar[bool] = False

    def __init__(
        self, pairs: tuple[tuple[str, str], ...] = (), options: ApertiumOptions | None = None
    ) -> None:
        self._pairs = pairs
        self._options = options or ApertiumOptions()
        self._pipelines: dict[Path, ProgramPipeline] = {}
        self._lock = threading.Lock()
        self._deaths = 0
        self.unknown_words = 0

    @cached_property
    def _modes(self) -> dict[tuple[str, str], Mode]:
        # The environment may move Apertium's data.
        data = Path(os.environ.get("APERTIUM_DATADIR", "/usr/share/apertium"))
        return installed_modes(self._options.modes or data / "modes")

    def identity(self) -> str:
        data = sorted(
            f"{mode.path.stem}:{mode.path.stat().st_size}:{int(mode.path.stat().st_mtime)}"
            for mode in self._modes.values()
        )
        return f"apertium rules=2 {' '.join(data)}"

    def needs(self) -> tuple[Need, ...]:
        programs = tuple(
            Need("program", program, shutil.which(program) is not None, install_cure("apertium"))
            for program in ("apertium-transfer", "lt-proc", "apertium-tagger")
        )
        pairs = tuple(
            Need("data", f"apertium {source}->{target}", self.serves(source, target), cure)
            for source, target in self._pairs
            for cure in (_cure(source, target, self.targets(source)),)
        )
        if not self._pairs:
            cure = install_cure("apertium", "apertium-eng-spa", "apertium-eng-cat")
            pairs = (Need("data", "an apertium language pair", bool(self._modes), cure),)
        return programs + pairs

    def unload(self) -> None:
        with self._lock:
            for pipeline in self._pipelines.values():
                pipeline.close()
            self._pipelines.clear()

    def serves(self, source: str, target: str) -> bool:
        return find_mode(self._modes, source, target) is not None

    def targets(self, source: str) -> tuple[str, ...]:
        return targets_of(self._modes, source)

    def draft(self, batch: DraftBatch) -> list[Draft]:
        mode = find_mode(self._modes, batch.source, batch.target)
        if mode is None:
            choices = ", ".join(self.targets(batch.source)) or "nothing"
            raise LanguageError(
                f"apertium does not translate {batch.source} into {batch.target} here; it can "
                f"{choices}. {_cure(batch.source, batch.target, self.targets(batch.source))}"
            )
        with self._lock:
            self.unknown_words = 0
            drafts = [self._draft_line(line, batch, mode) for line in batch.lines]
        logger.info(
            "apertium %s->%s: %d of %d lines, %d unknown words",
            *(batch.source, batch.target, sum(1 for draft in drafts if draft.versions)),
            *(len(batch.lines), self.unknown_words),
        )
        return drafts

    def _draft_line(self, line: LineToDraft, batch: DraftBatch, mode: Mode) -> Draft:
        names = names_in(batch)
        text = plain_sentences(line.segment.text, mode.source)
        try:
            whole = self._translate(text, names, mode)
            brief = shorter_wording(text, mode.source, names)
            plain = plainer_wording(text, mode.source)
            both = plainer_wording(brief, mode.source) if brief else None
            shorter = [self._translate(t, names, mode) for t in (brief, plain, both) if t]
        except LineError as fault:
            logger.warning("line %d: %s", line.segment.index, fault)
            return Draft(line.segment.index, (), fault.failure)
        versions = {whole, *(version for version in shorter if len(version) < len(whole))}
        return Draft(line.segment.index, tuple(sorted(versions, key=lambda v: (len(v), v))))

    def _translate(self, text: str, names: tuple[Name, ...], mode: Mode) -> str:
        """Return one wording of one line. Raises `LineError` with the fault's name."""
        if not re.search(r"\w", text):
            raise LineError("empty_translation", f"there is nothing to translate in {text!r}")
        names = (*names, *titled_names(text))
        proper = tuple(name for name in names if not name.source[:1].islower())
        guarded, stands = protect_names(text, (*proper, *addresses(text)))
        raw, unknown = self._translate_sentences(guarded, mode)
        restored = restore_names(raw, stands)
        if restored is None:
            restored, unknown = self._translate_sentences(text, mode)
        words = len(re.findall(r"\w+", text))
        if not re.search(r"\w", restored):
            raise LineError("empty_translation", f"nothing came back for {text!r}")
        if is_echo(text, restored, names) or (words >= 3 and unknown > MOST_UNKNOWN * words):
            raise LineError("untranslated", f"{text!r} came back as {restored!r}")
        self.unknown_words += unknown
        # Apertium's translation of a common noun gives way to the glossary's: a stand-in, which
        # works for a name, would cost it its article and its number.
        for term in names:
            if term.source[:1].islower() and re.search(rf"\b{re.escape(term.source)}\b", text):
                word, _ = self._translate_sentences(term.source, mode)
                pattern = rf"\b{re.escape(word)}\b"
                restored = re.sub(pattern, lambda _, t=term: t.target, restored, flags=re.I)
        return polish(restored, mode.target.partition("-")[0], text)

    def _translate_sentences(self, text: str, mode: Mode) -> tuple[str, int]:
        translated: list[str] = []
        unknown = 0
        target = mode.target.partition("-")[0]
        for sentence in sentences(text):
            phrase = set_phrase(sentence, mode.source, target)
            if phrase is None:
                phrase, strange = read_stream(self._exchange(to_stream(sentence), mode))
                unknown += strange
            translated.append(phrase.strip())
        return " ".join(translated), unknown

    def _exchange(self, request: str, mode: Mode) -> str:
        """Ask the pair's programs; restart them once if they have died or do not answer."""
        for attempt in (1, 2):
            try:
                if mode.path not in self._pipelines:
                    try:
                        self._pipelines[mode.path] = ProgramPipeline(
                            read_programs(mode), self._options.timeout_s
                        )
                    except FileNotFoundError as fault:
                        raise MissingRequirement(
                            f"{mode.path} is missing: {_cure(mode.source, mode.target)}"
                        ) from fault
                answer = self._pipelines[mode.path].exchange(request.encode("utf-8", "replace"))
            except EngineError as fault:
                logger.warning("apertium %s: %s (attempt %d)", mode.path.stem, fault, attempt)
                self._pipelines.pop(mode.path).close()
            else:
                self._deaths = 0
                return answer.decode("utf-8", "replace")
        self._deaths += 1
        if self._deaths >= DEATHS_IN_A_ROW:
            raise EngineError(
                f"apertium's programs for {mode.path.stem} die on every line; "
                f"reinstall the pair: {_cure(mode.source, mode.target)}"
            )
        raise LineError("translator_died", f"apertium gave no answer for {request!r}")


def names_in(batch: DraftBatch) -> tuple[Name, ...]:
    """Return the glossary's terms and the speakers' names, with their target spelling."""
    speakers = [profile for profile in batch.speakers.values() if profile.name]
    genders = {profile.name: profile.gender for profile in speakers}
    names = {
        term.source: term.translations.get(batch.target, term.source)
        for term in batch.context.glossary
    }
    for profile in speakers:
        for part in ((profile.name or ""), *(profile.name or "").split()):
            if part[:1].isupper() and len(part) > 2:
                names.setdefault(part, part)
                genders.setdefault(part, profile.gender)
    return tuple(Name(source, target, genders.get(source)) for source, target in names.items())


def to_stream(text: str) -> str:
    """Write a text in Apertium's stream format: special signs escaped, mark signs as blanks."""
    escaped = STREAM_SIGNS.sub(r"\\\1", text.strip())
    return re.sub(r"([@#*])", r"[\\\1]", escaped) + TAIL


def read_stream(answer: str) -> tuple[str, int]:
    """Read a text back from the stream format, and count its marked words.

    They are in no dictionary (``*``, ``@``), or lack the required form (``#``).
    """
    tokens = list(STREAM_TOKEN.finditer(answer))
    text = "".join(
        token["escaped"] or token["plain"] or re.sub(r"\\(.)", r"\1", token["blank"] or "")
        for token in tokens
    )
    return text.strip(), sum(1 for token in tokens if token["mark"])


def _cure(source: str, target: str, served: Sequence[str] = ()) -> str:
    if near := [tag for tag in served if closeness(tag, target)]:
        return f"ask for {' or '.join(near)}"
    package = package_for(source, target)
    if package is None:
        return f"Debian has no apertium pair for {source} and {target}: use another translator"
    return install_cure("apertium", package)


SENTENCE_PARTS = re.compile(r"^(?P<phrase>.+?)(?P<called>,\s+[A-Z][\w' -]*)?(?P<end>[.!?…]*)\s*$")


@cache
def phrasebook(source: str, target: str) -> dict[str, str]:
    """Return the set phrases of a pair of base languages, lower case and without their end mark."""
    text = files("dubarr_pipeline.engines.translation").joinpath("phrases.json").read_text("utf-8")
    return {
        phrase: entry[target]
        for entry in json.loads(text)
        if source in entry and target in entry
        for phrase in entry[source]
    }


def set_phrase(sentence: str, source: str, target: str) -> str | None:
    """Translate a sentence of set phrases, with a name after them or none; None for others."""
    parts = SENTENCE_PARTS.match(re.sub(r"[\"()]", "", sentence).strip())
    if parts is None:
        return None
    book, called = phrasebook(source, target), parts["called"] or ""
    for phrase, rest in ((parts["phrase"] + called, ""), (parts["phrase"], called)):
        whole = _looked_up([phrase.replace(",", "")], book) or _looked_up(phrase.split(","), book)
        if whole:
            return whole + rest + parts["end"]
    return None


def _looked_up(phrases: list[str], book: dict[str, str]) -> str | None:
    found = [book.get(phrase.strip().casefold()) for phrase in phrases]
    if None in found:
        return None
    text = ", ".join(phrase.casefold() for phrase in found if phrase)
    return text[:1].upper() + text[1:]
