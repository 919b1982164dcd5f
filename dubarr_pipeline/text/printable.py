"""Text for a terminal, a log or a subtitle, from wherever it comes."""

import grp
import os
import re
import unicodedata
from pathlib import Path

_MARKUP = re.compile(r"</?[a-zA-Z][^<>]{0,40}>|\{\\[^{}]{0,80}\}|\[[^\[\]]{1,40}\]|\*\*|__")
_JOINERS = frozenset("\u200c\u200d")
"""Letters of Persian and Indian scripts are joined, or not, by them."""
_SUDO_GROUPS = ("sudo", "wheel", "admin")


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


def install_cure(*packages: str) -> str:
    """Return how this user gets Debian packages: the command, or for what to ask whom."""
    names = " ".join(packages)
    if not Path("/usr/bin/apt-get").exists():
        return f"install {names} with your system's package manager"
    command = f"apt-get install {names}"
    if os.geteuid() == 0:
        return command
    sudoers = {entry.gr_gid for entry in grp.getgrall() if entry.gr_name in _SUDO_GROUPS}
    if sudoers & set(os.getgroups()):
        return f"sudo {command}"
    return f"ask your administrator to run `{command}`"


def megabytes(size: int) -> str:
    """Return a size in bytes for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
