"""Every codec keeps the film's clock: an impulse comes out where it went in."""

from __future__ import annotations

import numpy as np
import pytest

from dubarr_pipeline.errors import DiskFull, SettingsError
from dubarr_pipeline.media.audio.channels import layout_of, positions
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline.media.mix.check import folding
from dubarr_pipeline.media.mix.encode import (
    CODECS,
    SoundFormat,
    check_encoder,
    choose_format,
    dialnorm_of,
    encoder_command,
    encoding,
)
from dubarr_pipeline_tests.fixtures.stem_films import decoded, pink


def encoded(path, sound, rate=48000, codec="ac3", dialnorm=None):
    source = SoundFormat(rate, len(sound), None)
    track = choose_format(codec, source, None)
    with encoding(path, source, track, dialnorm) as encode:
        for start in range(0, sound.shape[1], 5000):
            encode(sound[:, start : start + 5000])
    return track


def burst(channels: int, rate: int, at: int, samples: int) -> np.ndarray:
    """A click that codecs can carry: 5 ms of a 2 kHz tone, symmetrical about sample `at`."""
    t = np.arange(samples) - at
    shape = np.exp(-0.5 * (t / (0.0012 * rate)) ** 2) * np.cos(2 * np.pi * 2000 * t / rate)
    return np.repeat((0.7 * shape).astype(np.float32)[None], channels, axis=0)


def offset_samples(sound: np.ndarray, reference: np.ndarray) -> float:
    """By how many samples the first is late, to a tenth, from the phase of the cross spectrum."""
    size = 1 << 17
    cross = np.fft.rfft(sound, size) * np.conj(np.fft.rfft(reference, size))
    fine = np.fft.irfft(cross, size * 8)
    at = int(np.argmax(fine))
    return (at - size * 8 if at > size * 4 else at) / 8


@pytest.mark.parametrize("codec", sorted(CODECS))
@pytest.mark.parametrize("container", ["bare", "mka"])
@pytest.mark.parametrize(("rate", "channels"), [(48000, 2), (44100, 1), (48000, 6)])
def test_an_impulse_comes_out_where_it_went_in(tmp_path, codec, container, rate, channels):
    at, samples = round(0.5 * rate) + 123, rate
    sound = burst(channels, rate, at, samples)
    path = tmp_path / f"track.{codec}"
    track = encoded(path, sound, rate, codec)
    if container == "mka":
        moved = tmp_path / "track.mka"
        ffmpeg.run(["-q", "-o", moved, path], tool="mkvmerge")
        path = moved
    found = decoded(path, track.channels, track.rate)[0]
    reference = burst(1, track.rate, round(at * track.rate / rate), track.rate)[0]
    late = offset_samples(found[: track.rate], reference) / track.rate * 1000
    # Matroska's clock counts whole milliseconds.
    assert abs(late) <= (0.011 if container == "bare" else 1.0)


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_nothing_is_lost_at_the_end(tmp_path, codec):
    samples = 48_000 + 17
    sound = burst(2, 48000, samples - 600, samples)
    encoded(tmp_path / "t", sound, codec=codec)
    found = decoded(tmp_path / "t", 2)
    assert found.shape[1] >= samples
    assert found.shape[1] - samples < 2 * 2048
    error = found[0, samples - 2000 : samples] - sound[0, samples - 2000 :]
    assert np.square(error).mean() < 0.05 * np.square(sound[0, samples - 2000 :]).mean()


def test_flac_gives_every_24_bit_sample_back(tmp_path):
    sound = np.round(pink(2, 20_000, 0.2) * 2**23).astype(np.float32) / np.float32(2**23)
    encoded(tmp_path / "t.flac", sound, codec="flac")
    assert np.array_equal(decoded(tmp_path / "t.flac", 2), sound)


@pytest.mark.parametrize(
    ("lufs", "dialnorm"),
    [(-23.4, -23), (-23.6, -24), (-31.0, -31), (-45.0, -31), (-70.0, -31), (-0.2, -1), (2.0, -1)],
)
def test_dialnorm_stays_within_the_format(lufs, dialnorm):
    assert dialnorm_of(lufs) == dialnorm


@pytest.mark.parametrize("codec", ["ac3", "eac3"])
def test_dialnorm_is_in_the_file(tmp_path, codec):
    path = tmp_path / "t"
    encoded(path, pink(2, 9000), codec=codec, dialnorm=-27)
    bits = int.from_bytes(path.read_bytes()[:16])
    # Where A/52 puts it: after the sync frame, bsid, bsmod, acmod, dsurmod (2/0) and lfeon.
    start = {"ac3": 16 + 16 + 8 + 5 + 3 + 3 + 2 + 1, "eac3": 16 + 2 + 3 + 11 + 2 + 2 + 3 + 1 + 5}[
        codec
    ]
    assert bits >> (128 - start - 5) & 31 == 27


@pytest.mark.parametrize(
    ("codec", "rate", "channels", "expected"),
    [
        ("ac3", 48000, 1, (48000, "mono", 128)),
        ("ac3", 44100, 2, (44100, "stereo", 256)),
        ("ac3", 32000, 6, (32000, "5.1", 640)),
        ("ac3", 96000, 8, (48000, "5.1", 640)),
        ("ac3", 22050, 2, (44100, "stereo", 256)),
        ("ac3", 8000, 1, (48000, "mono", 128)),
        ("eac3", 48000, 8, (48000, "5.1", 640)),
        ("flac", 192000, 8, (192000, "7.1", None)),
        ("opus", 44100, 6, (48000, "5.1", 384)),
        ("opus", 48000, 8, (48000, "7.1", 512)),
        ("aac", 192000, 2, (48000, "stereo", 192)),
    ],
)
def test_the_codec_gets_what_it_can_carry(tmp_path, codec, rate, channels, expected):
    sound = pink(channels, rate // 4)
    track = encoded(tmp_path / "t", sound, rate, codec)
    assert (track.rate, track.layout, track.bitrate_kbps) == expected
    changed = (track.rate != rate) + (track.channels != channels)
    assert len(track.notes) == changed
    stream = probe(tmp_path / "t").audio[0]
    assert (stream.rate, stream.channels) == (track.rate, track.channels)


@pytest.mark.parametrize(
    ("codec", "channels", "kbps", "fits"),
    [
        ("opus", 2, 600, False),
        ("opus", 2, 512, True),
        ("opus", 1, 300, False),
        ("opus", 6, 1_500, True),
        ("ac3", 2, 640, True),
        ("eac3", 2, 224, True),
        ("aac", 2, 1_536, True),
    ],
)
def test_a_bitrate_that_the_encoder_refuses_is_told_before_any_work(codec, channels, kbps, fits):
    sound = SoundFormat(48000, channels, None)
    if fits:
        check_encoder(codec, sound, kbps)
        return
    with pytest.raises(SettingsError, match=rf"mix.bitrate_kbps = {kbps}: the encoder of opus"):
        check_encoder(codec, sound, kbps)


@pytest.mark.parametrize(("codec", "kbps"), [("ac3", 641), ("ac3", 0), ("flac", 500)])
def test_a_bitrate_that_cannot_be_is_refused(codec, kbps):
    with pytest.raises(SettingsError, match="bitrate_kbps"):
        choose_format(codec, SoundFormat(48000, 2, None), kbps)


def test_the_side_layout_of_a_film_stays(tmp_path):
    track = choose_format("ac3", SoundFormat(48000, 6, "5.1(side)"), None)
    assert track.layout == "5.1(side)"
    arguments = encoder_command(tmp_path / "t", SoundFormat(48000, 6, "5.1(side)"), track, -27)
    assert "5.1(side)" in arguments


@pytest.mark.parametrize("codec", ["ac3", "eac3", "aac"])
@pytest.mark.parametrize("samples", [0, 100, 256, 1024, 50_001])
def test_a_delay_left_out_before_ffmpeg_gives_the_same_file(tmp_path, codec, samples):
    """Of sound that is not converted ffmpeg gets all but the delay, and needs no filter."""
    sound, source = pink(2, 50_001)[:, :samples], SoundFormat(48000, 2, None)
    track = encoded(tmp_path / "ours", sound, codec=codec)
    filtered = encoder_command(tmp_path / "theirs", source, track, None, undelayed=True)
    ffmpeg.run(filtered, stdin=sound.T.tobytes())
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


@pytest.mark.parametrize(("rate", "filters"), [(48000, 0), (22050, 3)])
def test_ffmpeg_trims_only_what_it_converts(tmp_path, monkeypatch, rate, filters):
    commands, encoder = [], ffmpeg.encoder
    monkeypatch.setattr(ffmpeg, "encoder", lambda a: commands.append(a) or encoder(a))
    encoded(tmp_path / "track", pink(2, rate), rate)
    names = ("apad", "atrim", "asetpts")
    assert sum(name in " ".join(map(str, commands[0])) for name in names) == filters


LISTED = ffmpeg.run(["-layouts"]).stdout.decode().split("DECOMPOSITION\n")[1].split("\n")
LAYOUTS = {line.split()[0]: tuple(line.split()[1].split("+")) for line in LISTED if line}
LAYOUTS["6 channels (FL+FR+FC+LFE+TFL+TFR)"] = ("FL", "FR", "FC", "LFE", "TFL", "TFR")


@pytest.mark.parametrize("codec", ["ac3", "opus"])
@pytest.mark.parametrize(("layout", "places"), LAYOUTS.items())
def test_every_layout_is_known_and_folded_as_ffmpeg_folds_it(layout, places, codec):
    sound = SoundFormat(48000, len(places), layout)
    assert positions(sound.channels, layout) == places
    track = choose_format(codec, sound, None)
    one_by_one = np.repeat(np.eye(sound.channels, dtype="<f4"), 1000, axis=0)
    given = ["-f", "f32le", "-ar", "48000", "-ac", str(sound.channels), "-channel_layout"]
    given += [layout_of(sound.channels, layout), "-i", "pipe:0"]
    made = ["-ac", str(track.channels), "-channel_layout", track.layout, "-f", "f32le", "pipe:1"]
    heard = np.frombuffer(ffmpeg.run([*given, *made], stdin=one_by_one.tobytes()).stdout, "<f4")
    gains = heard.reshape(-1, track.channels)[500::1000][: sound.channels].T
    assert folding(sound, track) == pytest.approx(gains, abs=1e-4)
    lost = {place for place, gain in zip(places, gains.T, strict=True) if not gain.any()}
    # ffmpeg leaves out the low and the high, and more of 22.2.
    assert layout == "22.2" or all(place[0] in "LTW" for place in lost)
    assert track.channels >= 5 or len(places) < 5


def test_a_disk_that_is_full_is_named(tmp_path):
    sound = SoundFormat(48000, 2, None)
    track = choose_format("flac", sound, None)
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    with pytest.raises(DiskFull):
        _write_much(full, sound, track)


def _write_much(path, sound, track) -> None:
    with encoding(path, sound, track, None) as encode:
        for _ in range(100):
            encode(pink(2, 48000))
