"""Text of a subtitle file, whatever encoding it was saved in.

Statistics over bytes fail on files of a few lines, so the older encodings are compared by the text
that each makes of the file: in the right one, the accented letters all belong to one language,
occur in words of their own script, and change from small to capital only between words.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache

from dubarr_pipeline.text.languages import base_language
from dubarr_pipeline.text.tables import read_table

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_JAPANESE_SHIFT = re.compile(rb"\x1b\$[@B]")
_TABLES = read_table("dubarr_pipeline.media.subtitles", "encodings")
_ALPHABETS: dict[str, dict[str, str]] = {
    encoding: _TABLES["letters"][group] for encoding, group in _TABLES["alphabetic"].items()
}
"""Small letters beyond ASCII by encoding and language."""
_IDEOGRAPHIC: dict[str, str] = _TABLES["ideographic"]
_PUNCTUATION = frozenset(_TABLES["punctuation"])
_OPENING = frozenset("¿¡")
_CASED = frozenset("аеиоαειο")
_ONE_CASE_LETTERS, _ONE_CASE_FACTOR = 10, 0.8
_KNOWN_BONUS = 0.1
_SAMPLE_BYTES = 6000
_MISREAD_AS = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "latin-1", "mac_roman"),
    *("cp437", "cp850", "koi8_r"),
)
_MISREAD_AS_WIDE = ("gb18030", "cp932", "big5hkscs")
_MISREAD_SHARE = 0.8
"""Share of characters beyond ASCII that must spell UTF-8 in a file that was encoded twice."""
_NOT_MENDED = re.compile(
    r"[\x80-\x9f\u0180-\u019f\u01b1-\u0217\u021c-\u02c5\u0530-\u058f\u0700-\u07bf]"
)
"""Nobody's letters: a capital and a quotation mark ("É”") spell these by chance."""


def decode_text(data: bytes, language: str | None = None) -> str:
    """Return the text of a subtitle file.

    A byte order mark decides; then UTF-16 without one (many bytes are zero); then UTF-8, which
    other encodings hardly ever pass by chance; then the older encoding with the highest score, to
    which a known `language` (BCP-47) adds. Undecodable bytes become U+FFFD. UTF-8 that was read as
    an older encoding and saved again, once or twice, is mended: nearly all its letters beyond ASCII
    then spell UTF-8 ("donâ€™t").
    """
    text = _decoded(data, language)
    for _ in range(2):
        if text.isascii() or (once := _mended(text)) == text:
            break
        text = once
    return text


def _mended(text: str) -> str:
    """Take back one reading of UTF-8 as an older encoding, if most of the text tells of one."""
    for encoding in _MISREAD_AS_WIDE:
        try:
            return text.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
    beyond = sum(letter > "\x7f" for letter in text)
    best, best_share = text, 0.0
    for encoding in _MISREAD_AS:
        spelled, byte_of = _misreading(encoding)
        found = Counter(spelled.findall(text))
        wrong = {f: letter for f in found if (letter := _spelled(f, byte_of)) != f}
        share = sum(len(f) * found[f] for f in wrong) / beyond
        if share < _MISREAD_SHARE:
            # "â€™" is nothing else, even in a file that is right elsewhere.
            wrong = {f: letter for f, letter in wrong.items() if f[0] == "â" and f[1] in "€™"}
        if wrong and share > best_share:
            best_share = share
            best = spelled.sub(lambda f, wrong=wrong: wrong.get(f[0], f[0]), text)
    return best


@cache
def _misreading(encoding: str) -> tuple[re.Pattern[str], dict[str, int]]:
    """Return a pattern of UTF-8's sequences as an encoding shows them, and the byte of each letter.

    Bytes that the encoding lacks are shown as control characters.
    """
    shown = {byte: bytes([byte]).decode(encoding, errors="replace") for byte in range(0x80, 0x100)}
    shown = {byte: chr(byte) if letter == "\ufffd" else letter for byte, letter in shown.items()}

    def of(first: int, last: int) -> str:
        return "[" + "".join(re.escape(shown[byte]) for byte in range(first, last + 1)) + "]"

    more = of(0x80, 0xBF)
    pattern = f"{of(0xC2, 0xDF)}{more}|{of(0xE0, 0xEF)}{more}{{2}}|{of(0xF0, 0xF4)}{more}{{3}}"
    return re.compile(pattern), {letter: byte for byte, letter in shown.items()}


def _spelled(found: str, byte_of: dict[str, int]) -> str:
    try:
        letter = bytes(byte_of[shown] for shown in found).decode("utf-8")
    except UnicodeDecodeError:
        return found
    controls = any("\x80" <= shown <= "\x9f" for shown in found)
    return found if _NOT_MENDED.match(letter) and not controls else letter


def _decoded(data: bytes, language: str | None) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    if wide := _wide(data):
        return data.decode(wide, errors="replace")
    if _JAPANESE_SHIFT.search(data):
        return data.decode("iso2022_jp", errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    # Files cut and joined by bad tools are UTF-8 with a few damaged bytes.
    text = data.decode("utf-8", errors="replace")
    valid = sum(1 for letter in text if letter > "\x7f" and letter != "\ufffd")
    if valid > 10 * text.count("\ufffd"):
        return text
    encoding, _ = max(_scores(data, base_language(language)), key=lambda score: score[1])
    return data.decode(encoding, errors="replace")


def _wide(data: bytes) -> str | None:
    """Return the byte order of UTF-16 without a mark, or None for other encodings.

    In any script, line breaks, digits and arrows have one zero byte.
    """
    sample = data[:4096]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if max(even, odd) < max(4, len(sample) // 10):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _scores(data: bytes, language: str | None) -> Iterator[tuple[str, float]]:
    """Yield each older encoding with the score of its text, about 0 to 1."""
    # Lines with letters beyond ASCII; no encoding here has line feeds within letters.
    lines = [line for line in data.split(b"\n") if not line.isascii()]
    sample = b"\n".join(lines)[:_SAMPLE_BYTES].rpartition(b"\n")[0] or lines[0][:_SAMPLE_BYTES]
    for encoding, alphabets in _ALPHABETS.items():
        text = sample.decode(encoding, errors="replace")
        for of, letters in alphabets.items():
            bonus = _KNOWN_BONUS if of == language else 0.0
            yield encoding, _alphabetic_score(text, frozenset(letters + letters.upper())) + bonus
    for encoding, of in _IDEOGRAPHIC.items():
        text = sample.decode(encoding, errors="replace")
        yield encoding, _ideographic_score(text, of) + (_KNOWN_BONUS if of == language else 0.0)


def _alphabetic_score(text: str, letters: frozenset[str]) -> float:
    """Return the share of characters beyond ASCII that are plausible in their place."""
    latin = any("LATIN" in unicodedata.name(letter, "") for letter in letters)
    good = total = 0
    for before, letter, after in zip(" " + text, text, text[1:] + " ", strict=False):
        if letter <= "\x7f":
            continue
        total += 1
        if letter in letters:
            alien = not latin and any(n.isascii() and n.isalpha() for n in (before, after))
            good += not alien and not (before.islower() and letter.isupper())
        else:
            good += letter in _PUNCTUATION or (letter in _OPENING and not before.isalnum())
    one_case = len({letter.isupper() for letter in text if letter in letters}) == 1
    if not latin and letters & _CASED and one_case and total > _ONE_CASE_LETTERS:
        # Hebrew looks like Russian or Greek all in small letters, or all in capitals.
        good *= _ONE_CASE_FACTOR
    return good / total if total else 0.0


def _ideographic_score(text: str, language: str) -> float:
    high = [letter for letter in text if letter > "\x7f"]
    if not high:
        return 0.0
    good = sum(letter in _PUNCTUATION or _is_common(letter, language) for letter in high)
    kana = sum("\u3041" <= letter <= "\u30ff" for letter in high)
    # Text with little kana is not Japanese; text with much of it is nothing else.
    fits = (kana * 10 >= len(high)) == (language == "ja")
    return good / len(high) if fits else 0.0


def _is_common(letter: str, language: str) -> bool:
    """Return whether a letter is one of the few thousand that a language uses."""
    if language == "ko":
        return "\uac00" <= letter <= "\ud7a3" and _fits(letter, "euc_kr")
    if "\u3041" <= letter <= "\u30ff":
        return language == "ja"
    if not "\u4e00" <= letter <= "\u9fff":
        return False
    return _fits(letter, "euc_jp" if language == "ja" else "gb2312") or _frequent_big5(letter)


def _frequent_big5(letter: str) -> bool:
    """Return whether a letter is in Big5's first plane: the 5,401 characters in daily use."""
    return 0xA4 <= letter.encode("big5", errors="replace")[0] <= 0xC6


def _fits(letter: str, encoding: str) -> bool:
    return bool(letter.encode(encoding, errors="ignore"))
