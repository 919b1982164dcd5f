#!/usr/bin/env bash
# Subtitles for learners and children carry Hebrew with its vowel points, which should help a voice.
# espeak-ng, on the contrary, reads plain Hebrew words, and spells pointed ones by the names of their
# letters and points, partly in English ("Hebrew shin dot"): one shin dot, or a dagesh beside a vowel,
# is enough. Three words become five times as many sounds.
# Version: espeak-ng 1.52.0, as espeakng-loader 0.2.4 brings it.
# Seen: each of the assertions below holds.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet espeakng-loader==0.2.4
"$folder/venv/bin/python" - <<'PYTHON'
import ctypes

import espeakng_loader

library = ctypes.CDLL(espeakng_loader.get_library_path())
library.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)
library.espeak_Info.restype = library.espeak_TextToPhonemes.restype = ctypes.c_char_p
library.espeak_SetVoiceByName(b"he")
print("espeak-ng", library.espeak_Info(None).decode())


def phonemes(text: str) -> str:
    """One clause as IPA; (en) marks what is said as English."""
    return library.espeak_TextToPhonemes(ctypes.byref(ctypes.c_char_p(text.encode())), 1, 2).decode()


plain, pointed = "אני רוצה לשתות", "אֲנִי רוֹצֶה לִשְׁתּוֹת"
for text in (plain, pointed):
    print(text, "->", phonemes(text))
assert "(en)" not in phonemes(plain), "plain Hebrew is spelled now"
assert phonemes(pointed).count("(en)") >= 3, "pointed Hebrew is read as words now"
assert "ʃˈɪndɒt" in phonemes(pointed), "the shin dot is not spelled any more"
assert len(phonemes(pointed)) > 3 * len(phonemes(plain))
PYTHON
