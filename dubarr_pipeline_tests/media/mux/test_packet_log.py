"""Lines of hashes become records: the fast way of reading them must agree with the plain one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubarr_pipeline.errors import MediaToolError
from dubarr_pipeline.media.container import ffmpeg_graph as graph
from dubarr_pipeline.media.mux import packet_log
from dubarr_pipeline.media.mux.packet_log import UNTIMED, hashed, log_packets
from dubarr_pipeline_tests.fixtures.odd_sources import ffmpeg, two_programs

NO_TIME = -(2**63)
packets = st.lists(
    st.tuples(
        st.integers(0, 120),
        st.one_of(st.integers(-(10**12), 10**12), st.just(NO_TIME), st.integers(0, 10**6)),
        st.integers(0, 2**128 - 1),
        st.sampled_from(["", ", S=1,        1, eab45b77", ", S=1,       10, dcd2e510"]),
    ),
    max_size=60,
)


@given(packets, st.sampled_from([1, 90_000, 48_000, 1000]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_records_are_what_the_lines_say(
    rows: list[tuple[int, int, int, str]], base: int, watched: bool
) -> None:
    streams = sorted({row[0] for row in rows})
    text = "#software: x\n" + "".join(f"#tb {s}: 1/{base}\n" for s in streams)
    for stream, pts, digest, side in rows:
        text += f"{stream}, {pts:10d}, {pts:10d}, {40:8d}, {999:8d}, {digest:032x}{side}\n"
    with tempfile.TemporaryDirectory() as folder:
        log = packet_log._Log(Path(folder), frozenset(streams if watched else ()))
        log.add(text.encode())
        found = {
            number: np.concatenate([*track.blocks(), np.empty(0, packet_log.RECORD)])
            for number, track in log.tracks().items()
        }
    for stream in streams:
        own = [row for row in rows if row[0] == stream]
        times = [UNTIMED if p == NO_TIME else p * 1_000_000 // base for _, p, _, _ in own]
        assert found[stream]["time_us"].tolist() == times
        plain = [f"{d:032x}"[:16].encode() for _, _, d, _ in own]
        same = [a == b for a, b in zip(found[stream]["digest"].tolist(), plain, strict=True)]
        assert same == [not (watched and side) for *_, side in own]


def test_side_data_count_where_they_are_watched(tmp_path: Path) -> None:
    line = "0,          0,          0,       40,      999, " + "a" * 32
    digests = []
    for number, tail in enumerate(["", ", S=1, 1, aa", ", S=1, 1, bb"]):
        log = packet_log._Log(tmp_path / str(number), frozenset({0}))
        log.add(f"#tb 0: 1/1000\n{line}{tail}\n".encode())
        digests += [block["digest"][0] for block in log.tracks()[0].blocks()]
    assert len(set(digests)) == 3


def test_a_line_of_another_form_is_refused(tmp_path: Path) -> None:
    log = packet_log._Log(tmp_path, frozenset())
    with pytest.raises(MediaToolError, match="another form"):
        log.add(b"#tb 0: 1/1000\nwhat is this, then\n")


def test_a_real_broadcast_is_logged_as_ffmpeg_prints_it(tmp_path: Path) -> None:
    source, times = two_programs(tmp_path), []
    copied = ["-map", "0", "-c", "copy"]
    streams = [graph.open_source(source).stream(n) for n in range(4)]
    command = graph.command(hashed(streams, {"c": "copy"}), flags=["-copyts"])
    tracks = log_packets(command, tmp_path / "l", times.append)
    printed = ffmpeg("-copyts", "-i", source, *copied, "-f", "framehash", "-hash", "murmur3", "-")
    lines = [x.split(",") for x in printed.decode().splitlines() if not x.startswith("#")]
    for number, track in tracks.items():
        (records,) = track.blocks()
        own = [x for x in lines if int(x[0]) == number]
        assert records["time_us"].tolist() == [int(x[2]) * 1_000_000 // 90_000 for x in own]
        assert records["digest"].tolist() == [x[5].strip()[:16].encode() for x in own]
    assert sum(t.packets for t in tracks.values()) == len(lines) > 200
    assert 3.0 < times[-1] < 4.0
