#!/usr/bin/env bash
# A voice cannot say digits in every language, so lines are put into words first. num2words covers 56
# languages; in seven of these ordinary numbers come out wrong, mostly without an error: a negative
# number loses its minus (Bengali) or becomes another number (Vietnamese: minus five is "fifteen"),
# Slovenian years contain the German "hundert", two million in Kannada has a stray "one" (twenty one
# lakh), and Polish, Czech and Slovak raise ValueError for every negative number.
# Version: num2words 0.5.14.
# Seen: each of the assertions below holds.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet num2words==0.5.14
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

from num2words import num2words as say

print("num2words", version("num2words"))
for language, number, form in [
    ("bn", -5, "cardinal"),
    ("vi", -5, "cardinal"),
    ("sl", 1984, "year"),
    ("kn", 2_000_000, "cardinal"),
]:
    print(language, number, form, "->", say(number, lang=language, to=form))
assert say(-5, lang="bn") == say(5, lang="bn"), "Bengali has a minus now"
assert say(-5, lang="vi") == say(15, lang="vi"), "Vietnamese has a minus now"
assert "hundert" in say(1984, lang="sl", to="year"), "Slovenian years have changed"
assert say(1, lang="kn") in say(2_000_000, lang="kn").split(), "Kannada has lost its stray one"
for language in ("pl", "cs", "sk"):
    try:
        print(language, -5, "->", say(-5, lang=language))
    except ValueError as error:
        print(language, -5, "-> ValueError:", error)
    else:
        raise SystemExit(f"{language} says negative numbers now")
PYTHON
