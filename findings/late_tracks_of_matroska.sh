#!/usr/bin/env bash
# A sound track in Matroska that starts late, after all that FFmpeg's demuxer looks at when it opens
# a file, is said to start at 0 and to last as long as the film, though its own DURATION tag tells
# its end and its first packet its start. Of a track that starts early both are told right, and no
# duration where the file has none but the tag. Who compares what could be decoded with what is
# declared takes such a film, a scene of sound in a silent film, for truncated.
# Versions: PyAV 16.0.1 (libavformat 62.3.100), numpy 2.3.5.
# Seen: 0.96 s of FLAC at 1 s of 30: start 1.0 s, no duration, DURATION 00:00:01.96; at 25 s: start
# 0.0 s, duration 30.0 s, DURATION 00:00:25.96, first packet at 25.0 s.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==16.0.1 numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from fractions import Fraction

import av
import numpy as np

RATE, FILM_S = 48_000, 30
print("PyAV", av.__version__, "libavformat", av.library_versions["libavformat"])


def write(path, start_s):
    with av.open(path, "w") as film:
        picture = film.add_stream("mpeg4", rate=10)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = film.add_stream("flac", rate=RATE, layout="mono")
        packets = []
        for number in range(10 * FILM_S):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number % 200, np.uint8))
            frame.pts, frame.time_base = number, Fraction(1, 10)
            packets += picture.encode(frame)
        packets += picture.encode()
        tone = (8000 * np.sin(np.arange(RATE) / 20)).astype(np.int16)
        for start in range(0, RATE - 4607, 4608):
            frame = av.AudioFrame.from_ndarray(tone[None, start : start + 4608], "s16", "mono")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = start_s * RATE + start
            packets += sound.encode(frame)
        packets += sound.encode()
        for packet in sorted(packets, key=lambda each: each.dts * each.time_base):
            film.mux(packet)


def told(path):
    with av.open(path) as film:
        sound = film.streams.audio[0]
        unit, tag = sound.time_base, sound.metadata.get("DURATION", "")[:8]
        start, duration = sound.start_time, sound.duration
        first = next(each for each in film.demux(sound) if each.pts is not None)
        seconds = [None if each is None else float(each * unit) for each in (start, duration, first.pts)]
        return (*seconds, tag)


found = {}
for start_s in (1, 25):
    write(f"{start_s}.mkv", start_s)
    found[start_s] = told(f"{start_s}.mkv")
    print("sound at {} s: start {} s, duration {} s, first packet at {} s, DURATION {}".format(start_s, *found[start_s]))
assert found[1] == (1.0, None, 1.0, "00:00:01"), found
assert found[25] == (0.0, 30.0, 25.0, "00:00:25"), found
print("as described")
PYTHON
