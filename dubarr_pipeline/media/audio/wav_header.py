"""The header of float32 WAV files: RIFF, and RF64 (EBU Tech 3306) from 4 GiB on.

A ``JUNK`` chunk is kept in front, which becomes ``ds64`` where a file grows past what 32 bits can
say, so that the length need not be known when writing starts.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.media.audio.channels import LAYOUT_MASKS, usual_layout, wave_mask

SAMPLE_BYTES = 4
_FLOAT, _EXTENSIBLE = 3, 0xFFFE
_FLOAT_GUID = bytes.fromhex("0300000000001000800000aa00389b71")
_LIMIT = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class WaveHeader:
    """Format of a float32 WAV file, and the place of its samples.

    Attributes:
        layout: ffmpeg's name of the channel layout, ``0x...`` for a mask without a name, or None.
        data_start: the byte at which sample 0 lies.
    """

    rate: int
    channels: int
    layout: str | None
    samples: int
    data_start: int


def header_bytes(rate: int, channels: int, layout: str | None, samples: int) -> bytes:
    """Return the bytes that go before `samples` samples of float32 sound."""
    block = channels * SAMPLE_BYTES
    data = samples * block
    plain = struct.pack("<HIIHH", channels, rate, rate * block, block, 8 * SAMPLE_BYTES)
    if layout in (None, "mono", "stereo") and channels <= 2:
        fmt = b"fmt " + struct.pack("<IH", 18, _FLOAT) + plain + struct.pack("<H", 0)
    else:
        mask = wave_mask(layout or usual_layout(channels) or "")
        extension = struct.pack("<HHI", 22, 8 * SAMPLE_BYTES, mask) + _FLOAT_GUID
        fmt = b"fmt " + struct.pack("<IH", 40, _EXTENSIBLE) + plain + extension
    fact = b"fact" + struct.pack("<II", 4, min(samples, _LIMIT))
    riff = 4 + 36 + len(fmt) + len(fact) + 8 + data + (data & 1)
    if riff > _LIMIT:
        front = b"RF64" + struct.pack("<I", _LIMIT) + b"WAVE"
        sizes = b"ds64" + struct.pack("<IQQQI", 28, riff, data, samples, 0)
        return front + sizes + fmt + fact + b"data" + struct.pack("<I", _LIMIT)
    front = b"RIFF" + struct.pack("<I", riff) + b"WAVE"
    junk = b"JUNK" + struct.pack("<I", 28) + bytes(28)
    return front + junk + fmt + fact + b"data" + struct.pack("<I", data)


def read_header(stream: BinaryIO, path: Path) -> WaveHeader:
    """Read the header of a float32 WAV or RF64 file.

    Raises:
        ArtifactError: if it is no such file, or shorter than it says.
    """
    size = stream.seek(0, 2)
    stream.seek(0)
    front = stream.read(12)
    if front[:4] not in (b"RIFF", b"RF64") or front[8:12] != b"WAVE":
        raise _damaged(path, "is no WAV file")
    found: tuple[int, int, str | None] | None = None
    data_size: int | None = None
    while len(head := stream.read(8)) == 8:
        name, length = head[:4], struct.unpack("<I", head[4:])[0]
        if name == b"data":
            data, start = data_size if length == _LIMIT else length, stream.tell()
            if found is None or data is None:
                raise _damaged(path, "has a damaged header")
            if start + data > size:
                raise _damaged(path, f"is cut off: {start + data - size} bytes are missing")
            rate, channels, layout = found
            return WaveHeader(rate, channels, layout, data // (channels * SAMPLE_BYTES), start)
        body = stream.read(min(length + (length & 1), 1 << 16))
        if name == b"fmt ":
            found = _read_format(path, body)
        elif name == b"ds64" and len(body) >= 16:
            data_size = struct.unpack_from("<Q", body, 8)[0]
        stream.seek(max(0, length + (length & 1) - len(body)), 1)
    raise _damaged(path, "has no samples")


def _read_format(path: Path, body: bytes) -> tuple[int, int, str | None]:
    if len(body) < 16:
        raise _damaged(path, "has a damaged header")
    tag, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", body)
    mask = 0
    if tag == _EXTENSIBLE and len(body) >= 40:
        mask, tag = struct.unpack_from("<I", body, 20)[0], struct.unpack_from("<H", body, 24)[0]
    if tag != _FLOAT or bits != 8 * SAMPLE_BYTES or not rate or not channels:
        raise _damaged(path, f"does not hold float32 samples (format {tag}, {bits} bits)")
    if block != channels * SAMPLE_BYTES:
        raise _damaged(path, "has a damaged header")
    names = {m: name for name, m in LAYOUT_MASKS.items()}
    return rate, channels, names.get(mask, hex(mask)) if mask else usual_layout(channels)


def _damaged(path: Path, what: str) -> ArtifactError:
    return ArtifactError(f"{path} {what}: delete it, and its stage makes it anew")
