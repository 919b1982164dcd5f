"""Text preparation for a rule-based translator, and of its output for speech.

Rules translate word by word and phrase by phrase: they need whole words in plain sentence case, and
they translate a name that is also a word (Mark, Rose, Will). So names are replaced by stand-ins
that every dictionary knows as names, of the same gender and the same kind of first letter, and put
back afterwards. The words that the rules know are in `apertium.toml`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dubarr_pipeline.text.tables import read_table

TYPOGRAPHY = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u02bc\u00b4`", "'"),
        **dict.fromkeys("“”„‟«»", '"'),
        **dict.fromkeys("\u00a0\u2007\u2009\u202f\t\r\n\v\f\u0085\u2028\u2029", " "),
        **dict.fromkeys("♪♫♬♩\u200b\u200e\u200f\u2060\ufeff\u00ad\u200d", ""),
        "…": "...",
        "–": "—",
        "―": "—",
    }
)
SPANISH_QUESTION_WORDS = (
    r"(?:por qué|qué|quién|quiénes|cómo|dónde|adónde|cuándo|cuál|cuáles|cuánt\w+)"
)
SENTENCE_END = re.compile(r"[.!?…]+[\"')\]]*\s+")
TITLED = re.compile(r"\b(Mr|Mrs|Ms|Miss|Dr|Prof|Sir|Lady|Lord|Captain)\.?\s+([A-Z][\w'-]+)")
ADDRESS = re.compile(r"(?:https?://|www\.)[^\s,;]*[\w/]|[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
SHORTENED = frozenset("ca dr dra ej etc ex jr núm pàg prof sr sra st uu vs".split())
"""Words that end in a full stop within a sentence; single letters do as well."""
ABBREVIATED = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Prof|Sr|Sra|Jr|Lt|Sgt|Capt)\.\s+$")


@dataclass(frozen=True, slots=True)
class Name:
    """A word or phrase that must not be translated word by word, and its target spelling."""

    source: str
    target: str
    gender: str | None = None


def _rules(name: str) -> Mapping[str, Any]:
    return read_table("dubarr_pipeline.engines.translation", "apertium")[name]


def plain_sentences(text: str, language: str) -> str:
    """Return subtitle text as plain sentences: no typography, no shouting, no leading dashes.

    The spoken forms of English are written out.
    """
    text = re.sub(r"\s+", " ", re.sub(r"[\0*]", "", text.translate(TYPOGRAPHY)))
    text = re.sub(r"^[-—# ]+", "", text).rstrip("# ")
    text = re.sub(r"\.{4,}", "...", text)
    text = re.sub(r"\s*(?:—|--+)\s*", " — ", text).strip()
    text = re.sub(r"(?:\s—)+$", "...", text)
    if is_shouted(text):
        text = sentence_case(text.lower(), language)
    if language != "en":
        return text

    spoken = _rules("spoken_forms")

    def whole(found: re.Match[str]) -> str:
        written = spoken[found[0].lower()]
        return written.capitalize() if found[0][:1].isupper() else written

    forms = "|".join(re.escape(form) for form in sorted(spoken, key=len, reverse=True))
    text = re.sub(rf"(?<![\w'])(?:{forms})(?![\w'])", whole, text, flags=re.IGNORECASE)
    text = re.sub(r"(?i)\b(i|you|we|they)'ve\b", r"\1 have", text)
    text = re.sub(r"(?i)\b(he|she|it)'s (been|gone|got)\b", r"\1 has \2", text)
    return re.sub(r"(?i)\b(what|who|where|how)'s\b", r"\1 is", text)


def sentences(text: str) -> list[str]:
    """Split a text into its sentences, each with its end mark and the space after it."""
    parts: list[str] = []
    start = 0
    for end in SENTENCE_END.finditer(text):
        # "5 a.m. now", "etc. and so on": no sentence begins with a small letter.
        goes_on = end.group().strip() == "." and text[end.end() :][:1].islower()
        if not goes_on and not ABBREVIATED.search(text[start : end.end()]):
            parts.append(text[start : end.end()])
            start = end.end()
    return [part for part in (*parts, text[start:]) if part]


def is_shouted(text: str) -> bool:
    """Return whether a line of more than one word is in capitals."""
    letters = [c for c in text if c.isalpha()]
    words = re.findall(r"[^\W\d_]{2,}", text)
    return len(words) > 1 and sum(c.isupper() for c in letters) >= 0.8 * len(letters)


def sentence_case(text: str, language: str) -> str:
    """Capitalise the beginning of every sentence, and the English I."""

    def capital(found: re.Match[str]) -> str:
        word = re.search(r"(\w+)\.$", text[: found.start() + 1])
        is_short = word is not None and (len(word[1]) == 1 or word[1].lower() in SHORTENED)
        return found.group() if is_short else found[1] + found[2].upper()

    text = re.sub(r"(^[^\w]*|[.!?]+[\"')\]]*\s+[\"'(\[¿¡]*)(\w)", capital, text)
    return re.sub(r"\bi(?=\b|')", "I", text) if language == "en" else text


def titled_names(text: str) -> tuple[Name, ...]:
    """Return the names that follow a title, even if they are also words (Mr. Smith)."""
    return tuple(
        Name(name, name, "female" if title in ("Mrs", "Ms", "Miss", "Lady") else None)
        for title, name in TITLED.findall(text)
    )


def addresses(text: str) -> tuple[Name, ...]:
    """Return the addresses of pages and mailboxes, which stay as they are."""
    return tuple(Name(found, found) for found in dict.fromkeys(ADDRESS.findall(text)))


def protect_names(text: str, names: Iterable[Name]) -> tuple[str, dict[str, str]]:
    """Replace names by stand-ins; return the text, and the name behind each stand-in.

    Longer names go first, so that "Mark Twain" is one. In lower case, a name is only a word.
    """
    stands: dict[str, str] = {}
    for name in sorted(names, key=lambda n: -len(n.source)):
        pattern = rf"(?<!\w){re.escape(name.source)}(?!\w)"
        if not name.source or not re.search(pattern, text):
            continue
        gender = "female" if name.gender == "female" else "male"
        # Catalan elides before a vowel.
        sound = "vowel" if name.target[:1].lower() in "aeiouàèéíòóúáh" else "consonant"
        choices = _rules("stand_ins")[gender][sound]
        stand_in = next((c for c in choices if c not in stands and c not in text), None)
        if stand_in:
            text = re.sub(pattern, stand_in, text)
            stands[stand_in] = name.target
    return text, stands


def restore_names(text: str, stands: Mapping[str, str]) -> str | None:
    """Put the names back; return None if the translator lost one."""
    for stand_in, name in stands.items():
        text, count = re.subn(rf"\b{stand_in}\b", lambda _, n=name: n, text)
        if not count:
            return None
    return text


def polish(text: str, language: str, source: str) -> str:
    """Return a translation as a line to be spoken: spacing, case, Spanish's opening marks.

    Its first letter is large where that of the `source` text is.
    """
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"\s+([,.;:!?…)])", r"\1", text)
    text = re.sub(r"([(¿¡])\s+", r"\1", text)
    text = re.sub(r"(?i)\b([ap])\. ?m\.", lambda m: f"{m[1].lower()}.m.", text)
    if next((c for c in source if c.isalpha()), "A").isupper():
        text = sentence_case(text, language)
    else:
        text = re.sub(r"^(\W*)(\w)", lambda m: m[1] + m[2].lower(), text)
    return opening_marks(text) if language == "es" else text


def opening_marks(text: str) -> str:
    """Open Spanish questions and exclamations with ¿ and ¡, after an introduction."""
    opened: list[str] = []
    for sentence in sentences(text):
        ending = re.search(r"([!?])[\"')\]]*\s*$", sentence)
        mark = {"?": "¿", "!": "¡"}[ending[1]] if ending and not {"¿", "¡"} & {*sentence} else ""
        asked = re.search(rf"[,—]\s*(?={SPANISH_QUESTION_WORDS}\b)", sentence)
        lead = asked if mark == "¿" and asked else re.match(r"[\s\"'(\[—]*", sentence)
        start = lead.end() if lead else 0
        opened.append(sentence[:start] + mark + sentence[start:])
    return "".join(opened)


def shorter_wording(text: str, language: str, names: Iterable[Name]) -> str | None:
    """Return the line without its fillers and without a name at its end, or None.

    "Well, what brings you here, Mark?" means the same as "What brings you here?".
    """
    fillers = _rules("fillers").get(language)
    short = text
    if fillers:
        first, last = "|".join(fillers["first"]), "|".join(fillers["last"])
        short = re.sub(rf"(?i)^(?:(?:{first}),\s+)+", "", short)
        short = re.sub(rf"(?i),\s+(?:{last})[.!?]+$", ".", short)
    for name in names:
        short = re.sub(rf",\s+{re.escape(name.source)}(?=[.!?]+$)", "", short)
    if short == text or len(re.findall(r"\w+", short)) < 2:
        return None
    return short[:1].upper() + short[1:]


def plainer_wording(text: str, language: str) -> str | None:
    """Return the line with its roundabout phrases in fewer words, or None if it has none.

    "In order to win we have got to run" means the same as "To win we must run".
    """
    plain = text
    for phrase, other in _rules("plainer").get(language, {}).items():
        plain = re.sub(rf"(?i){phrase}", other, plain)
    if plain == text:
        return None
    return plain[:1].upper() + plain[1:] if text[:1].isupper() else plain


def is_echo(source: str, translation: str, names: Iterable[Name]) -> bool:
    """Return whether a line came back untranslated.

    Names, numbers and one or two words ("No!", "Radio, taxi?") may rightly stay the same.
    """
    named = {word for name in names for word in _words(name.source) + _words(name.target)}
    said = [word for word in _words(source) if word not in named and not word.isdigit()]
    return len(said) >= 3 and _words(source) == _words(translation)


def _words(text: str) -> list[str]:
    return [word.casefold() for word in re.findall(r"\w+", text)]
