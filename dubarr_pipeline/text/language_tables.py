"""Abbreviations, units, signs, dates and times as languages read them aloud. Data only.

Where a language is not here, its text keeps abbreviations and signs, and its numbers are still
written out if num2words knows the language.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

DayOrder = Literal["day", "month"]


@dataclass(frozen=True, slots=True)
class Reading:
    """Rules by which one language reads aloud what is not a word.

    Attributes:
        decimal: the sign between whole and decimals.
        point: its name, read between them.
        one: "1" before a unit.
        abbreviations: with their full stop, where they have one -> the words.
        units: after a number -> (one, many).
        signs: a sign anywhere -> the words.
        currencies: sign or code -> (one, many).
        months: January to December.
        date: form of a date with {day}, {month} and {year}.
        first_field: which comes first in 3/4/2024.
        time: form of a time with {hours} and {minutes}; `hour`: of a full hour.
        first_ordinal: "1" on the first of a month is an ordinal.
    """

    decimal: str
    point: str
    abbreviations: Mapping[str, str]
    units: Mapping[str, tuple[str, str]]
    signs: Mapping[str, str]
    currencies: Mapping[str, tuple[str, str]]
    months: tuple[str, ...]
    date: str
    time: str = "{hours} {minutes}"
    hour: str = "{hours}"
    first_field: DayOrder = "day"
    first_ordinal: bool = False
    one: str | None = None
    ordinal_marks: tuple[str, ...] = field(default=())


def _entries(words: str) -> list[list[str]]:
    return [[word.replace("_", " ") for word in entry.split()] for entry in words.split(";")]


def _words(words: str) -> dict[str, str]:
    """Read ``"Dr. Doctor; ..."``; an underscore stands for a space."""
    return dict(_entries(words))


def _units(words: str) -> dict[str, tuple[str, str]]:
    """Read ``"km kilometre kilometres; ..."``; an underscore stands for a space."""
    return {sign: (one, many) for sign, one, many in _entries(words)}


READINGS: Mapping[str, Reading] = {
    "en": Reading(
        decimal=".",
        point="point",
        abbreviations=_words(
            "Mr. Mister; Mrs. Missus; Ms. Miz; Dr. Doctor; Prof. Professor; St. Saint; Jr. "
            "Junior; Sr. Senior; vs. versus; etc. et_cetera; e.g. for_example; i.e. that_is; No. "
            "number"
        ),
        units=_units(
            "km kilometre kilometres; m metre metres; cm centimetre centimetres; "
            "mm millimetre millimetres; kg kilo kilos; g gram grams; l litre litres; "
            "km/h kilometre_per_hour kilometres_per_hour; mph mile_per_hour miles_per_hour; "
            "h hour hours; min minute minutes; s second seconds; "
            "°C degree_Celsius degrees_Celsius; "
            "°F degree_Fahrenheit degrees_Fahrenheit; ° degree degrees; % percent percent"
        ),
        signs={"&": "and", "+": "plus", "=": "equals", "@": "at", "%": "percent"},
        currencies=_units("$ dollar dollars; € euro euros; £ pound pounds; ¥ yen yen"),
        months=tuple(
            "January February March April May June July August September October November "
            "December".split()
        ),
        date="{month} {day}, {year}",
        hour="{hours} o'clock",
        first_field="month",
        first_ordinal=True,
        ordinal_marks=("st", "nd", "rd", "th"),
    ),
    "es": Reading(
        decimal=",",
        point="coma",
        one="un",
        abbreviations=_words(
            "Sr. señor; Sra. señora; Srta. señorita; Dr. doctor; Dra. doctora; D. don; Dña. doña; "
            "Ud. usted; Uds. ustedes; EE._UU. Estados_Unidos; EE.UU. Estados_Unidos; etc. "
            "etcétera; p._ej. por_ejemplo; n.º número; N.º número; Sto. santo; Sta. santa"
        ),
        units=_units(
            "km kilómetro kilómetros; m metro metros; cm centímetro centímetros; "
            "mm milímetro milímetros; kg kilo kilos; g gramo gramos; l litro litros; "
            "km/h kilómetro_por_hora kilómetros_por_hora; h hora horas; min minuto minutos; "
            "s segundo segundos; °C grado_centígrado grados_centígrados; ° grado grados; "
            "% por_ciento por_ciento"
        ),
        signs={"&": "y", "+": "más", "=": "igual a", "@": "arroba", "%": "por ciento"},
        currencies=_units("$ dólar dólares; € euro euros; £ libra libras; ¥ yen yenes"),
        months=tuple(
            "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre "
            "diciembre".split()
        ),
        date="{day} de {month} de {year}",
        time="{hours} y {minutes}",
        ordinal_marks=("º", "ª", ".º", ".ª", "er", ".er"),
    ),
    "ca": Reading(
        decimal=",",
        point="coma",
        one="un",
        abbreviations=_words(
            "Sr. senyor; Sra. senyora; Dr. doctor; Dra. doctora; etc. etcètera; p._ex. "
            "per_exemple; núm. número; EUA Estats_Units"
        ),
        units=_units(
            "km quilòmetre quilòmetres; m metre metres; cm centímetre centímetres; "
            "mm mil·límetre mil·límetres; kg quilo quilos; g gram grams; l litre litres; "
            "km/h quilòmetre_per_hora quilòmetres_per_hora; h hora hores; min minut minuts; "
            "s segon segons; °C grau_centígrad graus_centígrads; ° grau graus; "
            "% per_cent per_cent"
        ),
        signs={"&": "i", "+": "més", "=": "igual a", "@": "arrova", "%": "per cent"},
        currencies=_units("$ dòlar dòlars; € euro euros; £ lliura lliures; ¥ ien iens"),
        months=tuple(
            "gener febrer març abril maig juny juliol agost setembre octubre novembre "
            "desembre".split()
        ),
        date="{day} de {month} de {year}",
        time="{hours} i {minutes}",
        ordinal_marks=("r", "n", "t", "è", "a"),
    ),
    "fr": Reading(
        decimal=",",
        point="virgule",
        abbreviations=_words(
            "M. monsieur; Mme madame; Mlle mademoiselle; Dr docteur; etc. et_cetera; p._ex. "
            "par_exemple; n° numéro; St saint"
        ),
        units=_units(
            "km kilomètre kilomètres; m mètre mètres; cm centimètre centimètres; "
            "mm millimètre millimètres; kg kilo kilos; g gramme grammes; l litre litres; "
            "km/h kilomètre_heure kilomètres_heure; h heure heures; min minute minutes; "
            "s seconde secondes; °C degré_Celsius degrés_Celsius; ° degré degrés; "
            "% pour_cent pour_cent"
        ),
        signs={"&": "et", "+": "plus", "=": "égale", "@": "arobase", "%": "pour cent"},
        currencies=_units("$ dollar dollars; € euro euros; £ livre livres; ¥ yen yens"),
        months=tuple(
            "janvier février mars avril mai juin juillet août septembre octobre novembre "
            "décembre".split()
        ),
        date="{day} {month} {year}",
        time="{hours} heures {minutes}",
        hour="{hours} heures",
        first_ordinal=True,
        ordinal_marks=("er", "re", "e", "ème"),
    ),
    "de": Reading(
        decimal=",",
        point="Komma",
        one="ein",
        abbreviations=_words(
            "Hr. Herr; Fr. Frau; Dr. Doktor; Prof. Professor; z._B. zum_Beispiel; z.B. "
            "zum_Beispiel; usw. und_so_weiter; bzw. beziehungsweise; d._h. das_heißt; Nr. Nummer; "
            "St. Sankt"
        ),
        units=_units(
            "km Kilometer Kilometer; m Meter Meter; cm Zentimeter Zentimeter; "
            "mm Millimeter Millimeter; kg Kilo Kilo; g Gramm Gramm; l Liter Liter; "
            "km/h Stundenkilometer Stundenkilometer; h Stunde Stunden; min Minute Minuten; "
            "s Sekunde Sekunden; °C Grad_Celsius Grad_Celsius; ° Grad Grad; "
            "% Prozent Prozent"
        ),
        signs={"&": "und", "+": "plus", "=": "gleich", "@": "at", "%": "Prozent"},
        currencies=_units("$ Dollar Dollar; € Euro Euro; £ Pfund Pfund; ¥ Yen Yen"),
        months=tuple(
            "Januar Februar März April Mai Juni Juli August September Oktober November "
            "Dezember".split()
        ),
        date="{day} {month} {year}",
        time="{hours} Uhr {minutes}",
        hour="{hours} Uhr",
    ),
    "it": Reading(
        decimal=",",
        point="virgola",
        one="un",
        abbreviations=_words(
            "Sig. signor; Sig.ra signora; Sig.na signorina; Dott. dottor; Dott.ssa dottoressa; "
            "Prof. professor; ecc. eccetera; n. numero"
        ),
        units=_units(
            "km chilometro chilometri; m metro metri; cm centimetro centimetri; "
            "mm millimetro millimetri; kg chilo chili; g grammo grammi; l litro litri; "
            "km/h chilometro_orario chilometri_orari; h ora ore; min minuto minuti; "
            "s secondo secondi; °C grado_centigrado gradi_centigradi; ° grado gradi; "
            "% per_cento per_cento"
        ),
        signs={"&": "e", "+": "più", "=": "uguale a", "@": "chiocciola", "%": "per cento"},
        currencies=_units("$ dollaro dollari; € euro euro; £ sterlina sterline; ¥ yen yen"),
        months=tuple(
            "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre "
            "novembre dicembre".split()
        ),
        date="{day} {month} {year}",
        time="{hours} e {minutes}",
        ordinal_marks=("º", "ª", "°"),
    ),
    "pt": Reading(
        decimal=",",
        point="vírgula",
        one="um",
        abbreviations=_words(
            "Sr. senhor; Sra. senhora; Dr. doutor; Dra. doutora; D. dona; etc. et_cetera; p._ex. "
            "por_exemplo; n.º número; EUA Estados_Unidos"
        ),
        units=_units(
            "km quilómetro quilómetros; m metro metros; cm centímetro centímetros; "
            "mm milímetro milímetros; kg quilo quilos; g grama gramas; l litro litros; "
            "km/h quilómetro_por_hora quilómetros_por_hora; h hora horas; min minuto minutos; "
            "s segundo segundos; °C grau_Celsius graus_Celsius; ° grau graus; "
            "% por_cento por_cento"
        ),
        signs={"&": "e", "+": "mais", "=": "igual a", "@": "arroba", "%": "por cento"},
        currencies=_units(
            "R$ real reais; US$ dólar dólares; $ dólar dólares; € euro euros; £ libra libras; "
            "¥ iene ienes"
        ),
        months=tuple(
            "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro "
            "dezembro".split()
        ),
        date="{day} de {month} de {year}",
        time="{hours} e {minutes}",
        ordinal_marks=("º", "ª"),
    ),
}


DOTS: Mapping[str, str] = {
    "en": "dot",
    "es": "punto",
    "ca": "punt",
    "fr": "point",
    "de": "Punkt",
    "it": "punto",
    "pt": "ponto",
}
"""The spoken dot of a web address."""

CENTS: Mapping[str, tuple[str, str]] = {
    "en": ("and", "cents"),
    "es": ("con", ""),
    "ca": ("amb", ""),
    "fr": ("", ""),
    "de": ("", ""),
    "it": ("e", ""),
    "pt": ("e", ""),
}
"""The words before and after the cents of an amount."""

FRACTIONS: Mapping[str, Mapping[str, str]] = {
    "en": {"1/2": "one half", "1/3": "one third", "1/4": "one quarter", "3/4": "three quarters"},
    "es": {"1/2": "media", "1/3": "un tercio", "1/4": "un cuarto", "3/4": "tres cuartos"},
    "ca": {"1/2": "mitja", "1/3": "un terç", "1/4": "un quart", "3/4": "tres quarts"},
    "fr": {"1/2": "un demi", "1/3": "un tiers", "1/4": "un quart", "3/4": "trois quarts"},
    "de": {"1/2": "ein halb", "1/3": "ein Drittel", "1/4": "ein Viertel", "3/4": "drei Viertel"},
    "it": {"1/2": "mezzo", "1/3": "un terzo", "1/4": "un quarto", "3/4": "tre quarti"},
    "pt": {"1/2": "meia", "1/3": "um terço", "1/4": "um quarto", "3/4": "três quartos"},
}

FEMININE_MARKS = frozenset({"ª", ".ª", "a", "re"})
"""Marks of ordinals that are feminine."""


POINT_LANGUAGES = frozenset(
    "am bn cy en fil ga gu he hi ja kn ko ml mr ms my ne pa si sw ta te th ur zh".split()
)
"""Languages that write decimals after a point (CLDR); all others after a comma."""


def reading(language: str) -> Reading | None:
    """Return the rules of a BCP-47 language; None where there is no table."""
    return READINGS.get(language.split("-")[0].lower())
