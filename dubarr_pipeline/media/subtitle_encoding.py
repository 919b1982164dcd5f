"""The letters of a subtitle file, whatever encoding it was saved in."""

from __future__ import annotations

import codecs
import unicodedata
from itertools import pairwise

from charset_normalizer import from_bytes

from dubarr_pipeline.media.languages import base_language

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BY_LANGUAGE = {
    "ja": ("cp932", "euc_jp", "iso2022_jp"),
    "zh": ("gb18030", "big5hkscs"),
    "ko": ("cp949",),
    **dict.fromkeys(("ru", "uk", "be", "bg", "sr", "mk"), ("cp1251", "koi8_r", "iso8859_5")),
    **dict.fromkeys(
        ("pl", "cs", "sk", "hu", "sl", "hr", "bs", "ro", "sq"), ("cp1250", "iso8859_2")
    ),
    "el": ("cp1253",),
    "tr": ("cp1254",),
    "he": ("cp1255",),
    **dict.fromkeys(("ar", "fa", "ur"), ("cp1256",)),
    **dict.fromkeys(("et", "lv", "lt"), ("cp1257",)),
    "vi": ("cp1258",),
    "th": ("cp874",),
    **dict.fromkeys("en es ca gl pt fr it de nl sv da no nb nn fi is ga eu".split(), ("cp1252",)),
}
_DISTINCT = ("cp932", "gb18030", "big5hkscs", "cp949", "euc_jp", "cp1251", "koi8_r", "cp1253")
_GUESSED = (*_DISTINCT, "cp1250", "cp1252", "cp1254", "cp1255", "cp1256", "cp874")
_SHORT_BYTES = 200
"""So few non-ASCII bytes are too little for statistics: the usual Western encoding is likelier."""
_SAMPLE_BYTES = 200_000


def decode_text(data: bytes, language: str | None = None) -> str:
    """Return the text of a subtitle file.

    A byte order mark decides; then UTF-16 without one (many bytes are zero); then UTF-8, which
    other encodings hardly ever pass by chance; then the encodings that the language was written in;
    and only then statistics. Never fails: bytes that stay unclear become U+FFFD.

    Args:
        data: the file.
        language: BCP-47 of the text, where it is known.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    if wide := _wide(data):
        return data.decode(wide, errors="replace")
    if (text := _strict(data, "utf-8")) is not None:
        return text
    for encoding in _BY_LANGUAGE.get(base_language(language) or "", ()):
        text = _strict(data, encoding)
        if text is not None and _plausible(text):
            return text
    return _mostly_utf8(data) or _guessed(data)


def _wide(data: bytes) -> str | None:
    """UTF-16 without a mark: in any script, line breaks, digits and arrows have one zero byte."""
    sample = data[:4096]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if max(even, odd) < len(sample) // 10 or max(even, odd) < 4:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _strict(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _mostly_utf8(data: bytes) -> str | None:
    """UTF-8 with a few damaged bytes, as files cut and joined by bad tools have."""
    text = data.decode("utf-8", errors="replace")
    good = sum(1 for letter in text if letter > "\x7f" and letter != "\ufffd")
    return text if good > 10 * text.count("\ufffd") else None


def _plausible(text: str) -> bool:
    """Whether the high bytes stand for letters and punctuation, not controls or box drawings."""
    high = [letter for letter in text if letter > "\x7f"]
    odd = [x for x in high if unicodedata.category(x) in ("Cc", "Cn", "Co", "So", "Sm")]
    return len(odd) - sum(x in "♪♫®©™°" for x in odd) <= len(high) // 20


def _guessed(data: bytes) -> str:
    high = sum(byte > 0x7F for byte in data)
    western = _strict(data, "cp1252")
    if western is not None and _between_letters(western) and high < _SHORT_BYTES:
        return western
    best = from_bytes(data[:_SAMPLE_BYTES], cp_isolation=list(_GUESSED)).best()
    encoding = best.encoding if best else "cp1252"
    return data.decode(encoding, errors="replace")


def _between_letters(text: str) -> bool:
    """Whether accented letters stand alone among plain ones, as in Western words."""
    high = [i for i, letter in enumerate(text) if letter > "\x7f" and letter.isalpha()]
    paired = sum(1 for a, b in pairwise(high) if b == a + 1)
    plain = sum(letter.isascii() and letter.isalpha() for letter in text)
    return paired * 10 <= len(high) and plain >= 3 * len(high)
