"""Text for a terminal, a log or a subtitle, from wherever it comes."""

import re
import unicodedata

_MARKUP = re.compile(r"</?[a-zA-Z][^<>]{0,40}>|\{\\[^{}]{0,80}\}|\[[^\[\]]{1,40}\]|\*\*|__")
_JOINERS = frozenset("\u200c\u200d")
"""Letters of Persian and Indian scripts are joined, or not, by them."""


def printable(text: str) -> str:
    """Return text that any terminal takes: file names that are not UTF-8 get escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def one_line(text: str) -> str:
    """Return a stranger's words as one line without control characters, at most 300 letters."""
    return " ".join(without_controls(text[:1_000]).split())[:300]


def without_controls(text: str) -> str:
    """Replace control and bidirectional characters by blanks, terminal sequences whole."""
    text = re.sub(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\x1b]*\x07?)?", " ", text)
    unseen = {c for c in {*text} - _JOINERS if unicodedata.category(c) in ("Cc", "Cf", "Cs")}
    return text.translate(dict.fromkeys(map(ord, unseen), " ")) if unseen else text


def plain_words(text: str) -> str:
    """Return a model's words without control characters, tags, Markdown and stage directions."""
    return " ".join(_MARKUP.sub("", without_controls(text)).split())


def megabytes(size: int) -> str:
    """Return a size in bytes for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
