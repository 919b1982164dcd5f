#!/usr/bin/env bash
# In a filter graph of FFmpeg whose sound is resampled, then split, a branch that asks for mono by
# "aformat" makes the other branch mono, too: layouts are agreed upon for the whole graph, and the
# "aresample" before the split is a place where they can change. Nothing is said of it, and the
# other branch is written as one channel. Without "aresample" before the split, or with "pan" as
# the mix, both channels arrive.
# Versions: PyAV 16.0.1 (libavfilter 11.4.100), numpy 2.3.5.
# Seen: aresample, split, aformat: the untouched branch is mono. Split, aformat: stereo.
# aresample, split, pan: stereo.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==16.0.1 numpy==2.3.5
"$folder/venv/bin/python" - <<'PYTHON'
import av
import numpy as np
from av.filter import Graph

RATE = 48_000
print("PyAV", av.__version__, "libavfilter", av.library_versions["libavfilter"])


def layouts(before, mix):
    """The layouts of both branches: the untouched one, and the one that is mixed."""
    graph = Graph()
    source = graph.add("abuffer", f"sample_rate={RATE}:sample_fmt=flt:channel_layout=stereo:time_base=1/{RATE}")
    last = source
    for name, options in before:
        following = graph.add(name, options)
        last.link_to(following)
        last = following
    both = graph.add("asplit", "2")
    last.link_to(both)
    mixed = graph.add(*mix)
    sinks = [graph.add("abuffersink", name=name) for name in ("untouched", "mixed")]
    both.link_to(sinks[0], 0, 0)
    both.link_to(mixed, 1, 0)
    mixed.link_to(sinks[1])
    graph.configure()
    frame = av.AudioFrame.from_ndarray(np.full((1, 2 * RATE), 0.25, np.float32), "flt", "stereo")
    frame.sample_rate, frame.pts = RATE, 0
    source.push(frame)
    source.push(None)
    return tuple(sink.pull().layout.name for sink in sinks)


resampled = [("aresample", "async=1")]
format_of_mono, pan = ("aformat", "channel_layouts=mono"), ("pan", "mono|c0=0.5*c0+0.5*c1")
found = {
    "aresample, split, aformat": layouts(resampled, format_of_mono),
    "split, aformat": layouts([], format_of_mono),
    "aresample, split, pan": layouts(resampled, pan),
}
for graph, (untouched, mixed) in found.items():
    print(f"{graph}: untouched branch {untouched}, mixed branch {mixed}")
assert [untouched for untouched, _ in found.values()] == ["mono", "stereo", "stereo"], found
assert {mixed for _, mixed in found.values()} == {"mono"}, found
print("as described")
PYTHON
