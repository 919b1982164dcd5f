"""Japanese and Mandarin as Kokoro reads them: misaki's phonemes, where its packages are installed.

misaki (Apache-2.0) is what Kokoro v1.0 was trained with. Its packages bring their dictionaries with
them (mostly for Japanese: 250 MB), so they are extras of this one.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable
from functools import cache
from importlib import import_module
from tempfile import TemporaryDirectory

from dubarr_pipeline.engines.interfaces import Need
from dubarr_pipeline.engines.requirements import package_need
from dubarr_pipeline.errors import LineError
from dubarr_pipeline.text.tables import read_table

_LATIN = re.compile(r"([A-Za-z][A-Za-z'’ -]*[A-Za-z]|[A-Za-z])")
_WIDE = re.compile("[\uff05\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]")
"""Digits, letters and the sign of per cent as wide as a kanji."""
_UNREAD = re.compile("[0-9%\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_GAP = re.compile(r"\s+(?=[,.!?;:…”)])")
_LOCK = threading.Lock()
"""MeCab, which cuts Japanese into words, serves one thread at a time."""


def reader_needs(language: str) -> tuple[Need, ...]:
    """Return the packages that reading a language takes: ``ja``, ``zh``; none for others. Cheap."""
    reader = read_table("dubarr_pipeline.engines.synthesis", "kokoro")["readers"].get(language, {})
    cure = f"pip install 'dubarr-pipeline[{reader.get('extra')}]'"
    packages = reader.get("packages", {})
    return tuple(package_need(package, module, cure) for package, module in packages.items())


def read_aloud(text: str, language: str, english: Callable[[str], str]) -> str:
    """Return the phonemes of a text in Japanese (``ja``) or Mandarin (``zh``), with punctuation.

    Args:
        text: the text; Latin words in it are read as English.
        language: one whose `reader_needs` are met.
        english: returns the phonemes of English words.

    Raises:
        LineError: ``unspeakable``, for what misaki cannot read.
    """
    parts = list[str]()
    text = _WIDE.sub(lambda wide: unicodedata.normalize("NFKC", wide[0]), text)
    for number, part in enumerate(_LATIN.split(text)):
        with _LOCK:
            try:
                read = english(part) if number % 2 else _reader(language)(part)
            # misaki asserts what it expects of a text, and fails in many ways at what it does not.
            except (AssertionError, LookupError, TypeError, ValueError) as error:
                raise LineError("unspeakable", f"misaki cannot read {part[:80]!r}") from error
        if left := _UNREAD.search(read):
            raise LineError("unspeakable", f"misaki does not read {left[0]!r} of {part[:80]!r}")
        parts.append(read.strip())
    return _GAP.sub("", " ".join(part for part in parts if part))


@cache
def _reader(language: str) -> Callable[[str], str]:
    return _japanese_reader() if language == "ja" else _mandarin_reader()


def _japanese_reader() -> Callable[[str], str]:
    cutlet = import_module("misaki.cutlet").Cutlet()

    def read(text: str) -> str:
        # It leaves out, without a word, what its dictionary does not know.
        text = text.replace("%", "パーセント")
        for word in cutlet.tagger(re.sub(r"\d", "", text)):
            if word.is_unk and _UNREAD.search(word.surface):
                return word.surface
        return cutlet(text)[0]

    return read


def _mandarin_reader() -> Callable[[str], str]:
    jieba = import_module("jieba")
    jieba.setLogLevel("WARNING")
    with TemporaryDirectory() as folder:
        # Else it believes a file in /tmp, which anybody may write.
        jieba.dt.tmp_dir = folder
        jieba.initialize()
    read = import_module("misaki.zh").ZHG2P()
    return lambda text: read(text)[0] if text.strip() else ""
