"""The letters of a subtitle file, whatever encoding it was saved in.

Statistics over bytes fail on files of a few lines, so the older encodings are told apart by what
they would make of the file: in the right one, the accented letters are all of one language, stand
in words of their own script, and change from small to capital only between words.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator

from dubarr_pipeline.media.languages import base_language

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_JAPANESE_SHIFT = re.compile(rb"\x1b\$[@B]")
_WESTERN = {
    "es": "áéíóúüñ",
    "fr": "àâæçéèêëîïôœùûüÿ",
    "de": "äöüßé",
    "pt": "áâãàçéêíóôõúü",
    "it": "àèéìíòóùú",
    "ca": "àçèéíïòóúü",
    "nl": "áéëïíóöüèê",
    "sv": "åäöéà",
    "da": "æøåéóö",
    "fi": "äöåšž",
    "is": "áðéíóúýþæö",
    "ga": "áéíóú",
    "en": "éèêëïöôçñáíóàüœæâ",
}
_CENTRAL = {
    "pl": "ąćęłńóśźż",
    "cs": "áčďéěíňóřšťúůýž",
    "sk": "áäčďéíĺľňóôŕšťúýž",
    "hu": "áéíóöőúüű",
    "ro": "ăâîşţ",
    "hr": "čćđšž",
    "de": "äöüß",
}
_BALTIC = {"lt": "ąčęėįšųūž", "lv": "āčēģīķļņšūž", "et": "äõöüšž"}
_TURKISH = {"tr": "çğıöşüâîû"}
_CYRILLIC = {
    "ru": "абвгдежзийклмнопрстуфхцчшщъыьэюяё",
    "uk": "абвгдежзийклмнопрстуфхцчшщьюяєіїґ",
    "bg": "абвгдежзийклмнопрстуфхцчшщъьюя",
    "sr": "абвгдђежзијклљмнњопрстћуфхцчџш",
}
_GREEK = {"el": "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ"}
_HEBREW = {"he": "אבגדהוזחטיךכלםמןנסעףפץצקרשת"}
_RARE_THAI = "ฃฅฌฎฏฦฤ๎๏๐๑๒๓๔๕๖๗๘๙๚๛"
_THAI = {"th": "".join({chr(c) for c in range(0x0E01, 0x0E5C)} - set(_RARE_THAI))}
_ARABIC = {"ar": "".join(map(chr, range(0x0621, 0x0653))) + "پچژگ؟،؛"}
_ALPHABETS: dict[str, dict[str, str]] = {
    "cp1252": _WESTERN,
    "cp1250": _CENTRAL,
    "iso8859_2": _CENTRAL,
    "cp1254": _TURKISH,
    "cp1257": _BALTIC,
    "cp1251": _CYRILLIC,
    "koi8_r": {"ru": _CYRILLIC["ru"]},
    "iso8859_5": _CYRILLIC,
    "cp866": {"ru": _CYRILLIC["ru"]},
    "cp1253": _GREEK,
    "cp1255": _HEBREW,
    "cp1256": _ARABIC,
    "cp874": _THAI,
}
"""Small letters beyond ASCII by encoding and language; of equally good ones the first is taken."""
_IDEOGRAPHIC = {
    "cp932": "ja",
    "euc_jp": "ja",
    "cp949": "ko",
    "gb18030": "zh",
    "big5hkscs": "zh",
}
_PUNCTUATION = frozenset(
    "«»“”„‘’‚‹›…–—·•♪♫°©®™€£§×½¼ªº\u00a0\u200b"  # noqa: RUF001
    "、。「」『』！？：・ー～〜（），《》"  # noqa: RUF001
)
_OPENING = frozenset("¿¡")
_CASED = frozenset("аеиоαειο")
_ENOUGH, _NO_CAPITALS = 10, 0.8
_KNOWN_BONUS = 0.1
_SAMPLE_BYTES = 6000


def decode_text(data: bytes, language: str | None = None) -> str:
    """Return the text of a subtitle file.

    A byte order mark decides; then UTF-16 without one (many bytes are zero); then UTF-8, which
    other encodings hardly ever pass by chance; then the older encoding that makes most sense. Never
    fails: bytes that stay unclear become U+FFFD.

    Args:
        data: the file.
        language: BCP-47 of the text, where it is known.
    """
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
    text = _mostly_utf8(data)
    return data.decode(_likeliest(data, language), errors="replace") if text is None else text


def _wide(data: bytes) -> str | None:
    """UTF-16 without a mark: in any script, line breaks, digits and arrows have one zero byte."""
    sample = data[:4096]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if max(even, odd) < max(4, len(sample) // 10):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _mostly_utf8(data: bytes) -> str | None:
    """UTF-8 with a few damaged bytes, as files cut and joined by bad tools have."""
    text = data.decode("utf-8", errors="replace")
    good = sum(1 for letter in text if letter > "\x7f" and letter != "\ufffd")
    return text if good > 10 * text.count("\ufffd") else None


def _likeliest(data: bytes, language: str | None) -> str:
    sample = _sample(data)
    base = base_language(language)
    return max(_scores(sample, base), key=lambda found: found[1])[0]


def _sample(data: bytes) -> bytes:
    """The first lines with letters beyond ASCII; no encoding here has line feeds within letters."""
    lines = [line for line in data.split(b"\n") if not line.isascii()]
    return b"\n".join(lines)[:_SAMPLE_BYTES].rpartition(b"\n")[0] or lines[0][:_SAMPLE_BYTES]


def _scores(sample: bytes, language: str | None) -> Iterator[tuple[str, float]]:
    for encoding, alphabets in _ALPHABETS.items():
        text = sample.decode(encoding, errors="replace")
        for of, letters in alphabets.items():
            bonus = _KNOWN_BONUS if of == language else 0.0
            yield encoding, _sense(text, frozenset(letters + letters.upper())) + bonus
    for encoding, of in _IDEOGRAPHIC.items():
        text = sample.decode(encoding, errors="replace")
        yield encoding, _ideographic_sense(text, of) + (_KNOWN_BONUS if of == language else 0.0)


def _sense(text: str, letters: frozenset[str]) -> float:
    """The share of characters beyond ASCII that belong where they stand."""
    latin = any("LATIN" in unicodedata.name(letter, "") for letter in letters)
    good = total = 0
    for before, letter, after in zip(" " + text, text, text[1:] + " ", strict=False):
        if letter <= "\x7f":
            continue
        total += 1
        if letter in letters:
            alien = not latin and (_is_ascii_letter(before) or _is_ascii_letter(after))
            good += not alien and not (before.islower() and letter.isupper())
        else:
            good += letter in _PUNCTUATION or (letter in _OPENING and not before.isalnum())
    one_case = len({letter.isupper() for letter in text if letter in letters}) == 1
    if not latin and letters & _CASED and one_case and total > _ENOUGH:
        # Hebrew looks like Russian or Greek all in small letters, or all in capitals.
        good *= _NO_CAPITALS
    return good / total if total else 0.0


def _is_ascii_letter(letter: str) -> bool:
    return letter.isascii() and letter.isalpha()


def _ideographic_sense(text: str, language: str) -> float:
    high = [letter for letter in text if letter > "\x7f"]
    if not high:
        return 0.0
    good = sum(letter in _PUNCTUATION or _is_common(letter, language) for letter in high)
    kana = sum("\u3041" <= letter <= "\u30ff" for letter in high)
    # Without any kana it is no Japanese; with much of it, it is nothing else.
    fits = (kana * 10 >= len(high)) == (language == "ja")
    return good / len(high) if fits else 0.0


def _is_common(letter: str, language: str) -> bool:
    """Whether a letter is one of the few thousand that a language uses."""
    if language == "ko":
        return "\uac00" <= letter <= "\ud7a3" and _fits(letter, "euc_kr")
    if "\u3041" <= letter <= "\u30ff":
        return language == "ja"
    if not "\u4e00" <= letter <= "\u9fff":
        return False
    return _fits(letter, "euc_jp" if language == "ja" else "gb2312") or _frequent_big5(letter)


def _frequent_big5(letter: str) -> bool:
    """The first plane of Big5 holds the 5,401 characters in daily use."""
    try:
        return 0xA4 <= letter.encode("big5")[0] <= 0xC6
    except UnicodeEncodeError:
        return False


def _fits(letter: str, encoding: str) -> bool:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
