#!/usr/bin/env bash
# How loud FFmpeg's mix of stereo to mono is depends on the format of the samples: of whole numbers
# it is the mean of both channels, of floating point 3 dB more (each by 0.707), so that a voice in
# the middle of a FLAC film and the same voice in an AAC film reach a detector at different levels,
# and the louder one may pass full scale.
# Versions: PyAV 16.0.1 (libavfilter 11.4.100), numpy 2.3.5.
# Seen: 0.25 on both sides gives 0.25 in s16 and s32, 0.354 in flt and dbl.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==16.0.1 numpy==2.3.5
"$folder/venv/bin/python" - <<'PYTHON'
import av
import numpy as np
from av.filter import Graph

RATE, LEVEL = 48_000, 0.25
FORMATS = {"s16": (np.int16, 2**15), "s32": (np.int32, 2**31), "flt": (np.float32, 1), "dbl": (np.float64, 1)}
print("PyAV", av.__version__, "libavfilter", av.library_versions["libavfilter"])


def level_of_mono(name):
    kind, full_scale = FORMATS[name]
    graph = Graph()
    source = graph.add("abuffer", f"sample_rate={RATE}:sample_fmt={name}:channel_layout=stereo:time_base=1/{RATE}")
    mono, sink = graph.add("aformat", "channel_layouts=mono"), graph.add("abuffersink")
    source.link_to(mono)
    mono.link_to(sink)
    graph.configure()
    frame = av.AudioFrame.from_ndarray(np.full((1, 2 * RATE), LEVEL * full_scale, kind), name, "stereo")
    frame.sample_rate, frame.pts = RATE, 0
    source.push(frame)
    source.push(None)
    return float(sink.pull().to_ndarray().astype(float).mean()) / full_scale


found = {name: round(level_of_mono(name), 3) for name in FORMATS}
print(f"{LEVEL} on both sides comes out as", found)
assert found == {"s16": 0.25, "s32": 0.25, "flt": 0.354, "dbl": 0.354}, found
print("as described")
PYTHON
