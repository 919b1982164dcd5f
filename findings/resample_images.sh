#!/usr/bin/env bash
# Speech synthesizers give 24 kHz, films have 48 kHz. scipy.signal.resample_poly with its default
# window leaves a mirror image of the top of the voice's band: of a tone at 10.8 kHz, another at
# 13.2 kHz, only 22 dB under it (heard as a lisp). soxr's default quality leaves none (under -100 dB).
# Versions: scipy 1.17.1, soxr 1.1.0, numpy 2.4.6.
# Seen: scipy -22.0 dB, soxr under -100 dB.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scipy==1.17.1 soxr==1.1.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import scipy
import soxr
from scipy.signal import resample_poly

HZ, SECONDS = 10_800, 4
tone = np.sin(2 * np.pi * HZ * np.arange(24_000 * SECONDS) / 24_000)


def image_db(sound: np.ndarray) -> float:
    """The level of the image at 13.2 kHz against the tone, in dB."""
    middle = sound[48_000 : 48_000 * 3] * np.hanning(96_000)
    spectrum = np.abs(np.fft.rfft(middle))
    at = lambda hz: spectrum[round(hz * 2) - 4 : round(hz * 2) + 5].max()
    return 20 * np.log10(at(24_000 - HZ) / at(HZ) + 1e-12)


default = image_db(resample_poly(tone, 2, 1))
better = image_db(soxr.resample(tone, 24_000, 48_000))
print(f"scipy {scipy.__version__} resample_poly: image at {default:.1f} dB")
print(f"soxr {soxr.__version__}: image at {better:.1f} dB")
assert -24 < default < -20, "the default filter has changed"
assert better < -100, "soxr's default has changed"
PYTHON
