"""How a translation should address people, guessed from the script's own manners."""

from __future__ import annotations

from dubarr_pipeline.timeline.script_reading import Register

_ADDRESS = {
    "es": ("tú", "usted"),
    "ca": ("tu", "vostè"),
    "gl": ("ti", "vostede"),
    "fr": ("tu", "vous"),
    "de": ("du", "Sie"),
    "it": ("tu", "Lei"),
    "pt": ("tu", "o senhor / a senhora"),
    "pt-BR": ("você", "o senhor / a senhora"),
    "nl": ("je", "u"),
    "pl": ("ty", "pan / pani"),
    "ru": ("ты", "вы"),
    "uk": ("ти", "ви"),
    "cs": ("ty", "vy"),
    "ro": ("tu", "dumneavoastră"),
    "hu": ("te", "Ön"),
    "tr": ("sen", "siz"),
    "sv": ("du", "du (ni is dated)"),
    "da": ("du", "De (rare)"),
    "nb": ("du", "De (rare)"),
    "fi": ("sinä", "te"),
    "el": ("εσύ", "εσείς"),
    "ja": ("plain form", "desu/masu form"),
    "ko": ("banmal", "jondaenmal"),
}
GUIDED_LANGUAGES = tuple(_ADDRESS)


def style_guide(language: str, register: Register, tone: str) -> str:
    """Say in two or three sentences how to translate into a language (BCP-47).

    The guess is worded as one: a counted register of the whole script is not the relation of two
    people.
    """
    address = _ADDRESS.get(language) or _ADDRESS.get(language.split("-")[0])
    return " ".join([_address(address, register), f"Tone of the original: {tone}.", _RULES])


def _address(address: tuple[str, str] | None, register: Register) -> str:
    if address is None:
        return "Keep the original's forms of address."
    informal, formal = address
    if register == "formal":
        return (
            f"People are called Sir, Ma'am, Mr or by rank: {formal!r} between strangers and "
            f"upwards is "
            f"likely right, {informal!r} among intimates (a guess from the text)."
        )
    if register == "informal":
        return (
            f"People speak casually: {informal!r} is likely right nearly everywhere, {formal!r} "
            f"only "
            "to strangers in office (a guess from the text)."
        )
    return (
        f"The text does not show how formal people are: {informal!r} among people who know each "
        f"other, "
        f"{formal!r} otherwise, and the same pair always the same way."
    )


_RULES = (
    "Names stay as they are. Spoken language, contractions welcome, no longer than the original."
)
