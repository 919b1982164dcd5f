"""The whole mix on small films: what must not change does not, and what must be heard is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dubarr_pipeline.errors import ArtifactError, MediaToolError
from dubarr_pipeline.media.audio import k_weighting
from dubarr_pipeline.media.audio.wav import WaveFile, write_wave
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.mix.ducking import Ducker, DuckingOptions
from dubarr_pipeline.media.mix.mix import mix, mix_and_prove
from dubarr_pipeline.media.mix.options import LevelOptions, MixOptions
from dubarr_pipeline.media.mix.report import MixReport
from dubarr_pipeline.spans import Span, complement, merge
from dubarr_pipeline_tests.fixtures.speech_meters import measure_file
from dubarr_pipeline_tests.fixtures.stem_films import (
    Film,
    Line,
    decoded,
    film_of,
    loudness_of,
    make_film,
    pink,
)

RATE = 48000


def silent_lines(report: MixReport) -> list[int]:
    return [n for n, line in enumerate(report.lines) if line.dub_lufs <= -70.0]


def seconds(start: float, end: float) -> Span:
    return Span(round(start * RATE), round(end * RATE))


FLAC = MixOptions(codec="flac")
THREE = (Line(seconds(1, 3)), Line(seconds(4, 6.5), 0.05), Line(seconds(8, 9)))


def mixed(film: Film, options: MixOptions = FLAC, takes=None) -> tuple[np.ndarray, MixReport]:
    """Mix; return the mixer's own samples and its report."""
    pcm = film.folder / "pcm.wav"
    takes = film.takes if takes is None else takes
    track = film.folder / f"final_es.{options.codec}"
    report = mix(film.sources, takes, track, replace(options, pcm=pcm))
    with WaveFile(pcm) as wave:
        return wave.read(0, wave.samples), report


def untouched(film: Film, report: MixReport, margin_s: float = 0.0) -> list[Span]:
    touched = [Span(n.start, n.start + n.samples) for n in report.lines]
    touched += list(film.sources.speech)
    margin = round(margin_s * film.rate)
    whole = Span(0, film.bed.shape[1])
    return complement([s.pad(margin, margin) for s in merge(touched)], whole)


@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_outside_speech_every_sample_is_the_films(tmp_path, channels):
    film = make_film(tmp_path, THREE, channels=channels)
    found, report = mixed(film)
    assert found.shape == film.bed.shape == (report.channels, report.samples)
    quiet = untouched(film, report)
    assert sum(span.length for span in quiet) > 5 * RATE
    for span in quiet:
        assert (
            found[:, span.start : span.end].tobytes()
            == film.original[:, span.start : span.end].tobytes()
        )
    for line in report.lines:
        inside = slice(line.start + 2000, line.start + line.samples - 2000)
        assert not np.array_equal(found[:, inside], film.bed[:, inside])


def test_under_the_dub_the_bed_stays_at_its_level(tmp_path):
    film = make_film(tmp_path, THREE)
    found, report = mixed(film)
    dub = found - film.bed
    for line in report.lines:
        piece = slice(line.start, line.start + line.samples)
        # What was added is one voice, alike in both channels: the bed under it is whole.
        assert np.abs(dub[0, piece] - dub[1, piece]).max() < 1e-6
        assert np.abs(dub[0, piece]).max() > 0.01


def test_a_film_hotter_than_full_scale_stays_what_it_is(tmp_path):
    bed = pink(2, 12 * RATE, 0.35)
    assert np.abs(bed).max() > 1.1
    film = film_of(tmp_path, bed, THREE)
    found, report = mixed(film, MixOptions())
    for span in untouched(film, report):
        assert np.array_equal(found[:, span.start : span.end], bed[:, span.start : span.end])
    assert report.clipped_samples == 0
    limit = 10 ** (film.sources.loudness.true_peak_dbtp / 20)
    assert np.abs(found).max() <= limit * 1.001


def test_kept_lines_are_the_originals(tmp_path):
    film = make_film(tmp_path, THREE).keeping(THREE[1].span)
    takes = [film.takes[0], film.takes[2]]
    found, report = mixed(film, takes=takes)
    kept = THREE[1].span
    assert np.array_equal(found[:, kept.start : kept.end], film.original[:, kept.start : kept.end])
    assert len(report.lines) == 2


def test_a_song_that_goes_on_after_the_line_fades_over(tmp_path):
    film = make_film(tmp_path, [Line(seconds(2, 6))])
    film = film.keeping(seconds(4, 6))
    found, _ = mixed(film, takes=[])
    assert np.array_equal(found[:, : round(3.99 * RATE)], film.bed[:, : round(3.99 * RATE)])
    assert np.array_equal(found[:, 4 * RATE :], film.original[:, 4 * RATE :])
    edge = slice(round(3.99 * RATE), 4 * RATE)
    share = (found - film.bed)[:, edge] / np.where(
        film.vocals[:, edge] == 0, 1, film.vocals[:, edge]
    )
    assert 0.2 < np.median(share) < 0.8


@pytest.mark.parametrize("codec", ["ac3", "eac3", "flac", "aac", "opus"])
def test_the_programme_keeps_its_loudness(tmp_path, codec):
    film = make_film(tmp_path, [Line(seconds(i, i + 0.8)) for i in range(1, 20)], seconds=21)
    _, report = mixed(film, MixOptions(codec=codec, decode_again=True))
    assert abs(report.miss_lu) <= 0.2
    theirs = measure_file(film.folder / f"final_es.{codec}")
    assert theirs.integrated_lufs == pytest.approx(film.sources.loudness.integrated_lufs, abs=0.2)
    assert report.loudness_lufs == pytest.approx(theirs.integrated_lufs, abs=0.05)
    assert report.true_peak_dbtp == pytest.approx(theirs.true_peak_dbtp, abs=0.3)
    assert report.measured_on == "track"
    assert report.decoded_samples is not None
    assert report.decoded_samples >= film.bed.shape[1]


@pytest.mark.parametrize("preset", ["film", "duck", "voice-over"])
def test_every_preset_keeps_the_programmes_loudness_in_one_pass(tmp_path, preset):
    film = make_film(tmp_path, [Line(seconds(i, i + 1.2)) for i in range(1, 19, 2)], seconds=21)
    found, report = mixed(film, replace(FLAC, preset=preset))
    ours = loudness_of(found, RATE).integrated_lufs
    assert ours == pytest.approx(film.sources.loudness.integrated_lufs, abs=0.2)
    assert report.passes == 1
    assert report.measured_on == "mix"
    assert report.loudness_lufs == pytest.approx(ours, abs=0.01)


@pytest.mark.parametrize(("preset", "lufs", "peak"), [("ebu-r128", -23, -1), ("atsc-a85", -24, -2)])
@pytest.mark.parametrize("level", [0.02, 0.25])
@pytest.mark.parametrize("codec", ["ac3", "opus"])
def test_a_delivery_standard_is_met_in_the_encoded_file(tmp_path, preset, lufs, peak, level, codec):
    lines = [Line(seconds(1, 3), level * 3), Line(seconds(5, 7), level * 3)]
    film = film_of(tmp_path, pink(2, 9 * RATE, level), lines)
    _, report = mixed(film, MixOptions(loudness=preset, codec=codec))
    found = measure_file(film.folder / f"final_es.{codec}")
    assert found.integrated_lufs == pytest.approx(lufs, abs=0.2)
    assert found.true_peak_dbtp <= peak + 0.1
    assert report.dialnorm == (lufs if codec == "ac3" else None)
    assert report.passes <= 2


def test_a_peak_that_the_standard_forbids_is_limited(tmp_path):
    bed = pink(2, 9 * RATE, 0.01)
    bed[:, 4 * RATE : 4 * RATE + 96] += 0.9 * np.sin(np.arange(96) / 5).astype(np.float32)
    film = film_of(tmp_path, bed, [Line(seconds(1, 2), 0.05)])
    _, report = mixed(film, MixOptions(loudness="ebu-r128"))
    found = measure_file(film.folder / "final_es.ac3")
    assert report.gain_db > 3
    assert report.limited_samples > 0
    assert found.true_peak_dbtp <= -0.9
    assert found.integrated_lufs == pytest.approx(-23, abs=0.2)


def test_netflix_is_measured_while_somebody_speaks(tmp_path):
    bed = pink(2, 14 * RATE, 0.01)
    bed[:, 9 * RATE :] *= 12
    film = film_of(tmp_path, bed, [Line(seconds(1, 4), 0.2), Line(seconds(5, 8), 0.2)])
    found, report = mixed(film, MixOptions(loudness="netflix"))
    spoken = np.concatenate([found[:, RATE : 4 * RATE], found[:, 5 * RATE : 8 * RATE]], axis=1)
    assert loudness_of(spoken, RATE).integrated_lufs == pytest.approx(-27, abs=0.4)
    assert report.dialogue_lufs == pytest.approx(-27, abs=0.2)
    assert report.loudness_lufs > -26


def test_whispers_stay_whispers_and_shouts_stay_in_bounds(tmp_path):
    levels = [0.2, 0.2, 0.1, 0.01, 0.2, 0.8]
    lines = [Line(seconds(1.5 * i + 1, 1.5 * i + 2), level) for i, level in enumerate(levels)]
    film = make_film(tmp_path, lines)
    _, report = mixed(film, replace(FLAC, levels=LevelOptions(quieter_db=9, louder_db=6)))
    dub = np.array([line.dub_lufs for line in report.lines])
    original = np.array([line.original_lufs for line in report.lines])
    # The second half as loud: 6 dB under the first, in the original as in the dub.
    assert dub[2] - dub[0] == pytest.approx(original[2] - original[0], abs=0.1)
    assert original[3] - original[0] < -20
    assert dub.max() - dub.min() == pytest.approx(15, abs=0.5)
    assert abs(report.dub_trim_db) <= 3


def test_by_default_a_whisper_is_no_talk_and_a_shout_no_more_than_that(tmp_path):
    # Talk near -24 LUFS; 20 and 30 dB under it are whispered, 12 dB over it is shouted.
    talk = 0.1
    levels = [talk, talk, talk / 10, talk, talk / 31.6, talk, talk * 4, talk]
    lines = [Line(seconds(1.5 * i + 1, 1.5 * i + 2), level) for i, level in enumerate(levels)]
    film = make_film(tmp_path, lines, 14)
    _, report = mixed(film, FLAC)
    dub = np.array([line.dub_lufs for line in report.lines])
    original = np.array([line.original_lufs for line in report.lines])
    under = dub - np.median(dub)
    assert under[2] == pytest.approx(original[2] - np.median(original), abs=0.5)
    assert under[4] == pytest.approx(-20, abs=0.5)
    assert under[6] == pytest.approx(9, abs=0.5)
    assert np.abs(under[[0, 1, 3, 5, 7]]).max() < 1


@pytest.mark.parametrize("codec", ["ac3", "eac3", "flac", "aac", "opus"])
def test_the_file_itself_is_as_loud_as_its_source(tmp_path, codec):
    # White noise: the treble that an encoder leaves out counts.
    noise = np.random.default_rng(5).standard_normal((2, 15 * RATE))
    bed = (0.03 * noise).astype(np.float32)
    film = film_of(tmp_path, bed, [Line(seconds(i, i + 1), 0.4) for i in range(1, 14, 2)])
    path = film.folder / f"final_es.{codec}"
    made = mix_and_prove(film.sources, film.takes, path, MixOptions(codec=codec))
    report, proof = made.mixed.report, made.proof
    wanted = film.sources.loudness.integrated_lufs
    assert measure_file(path).integrated_lufs == pytest.approx(wanted, abs=0.2)
    assert proof.loudness_lufs == pytest.approx(wanted, abs=0.2)
    assert report.measured_on == ("mix" if codec == "flac" else "track")


def test_a_take_is_as_loud_in_the_track_as_the_report_says(tmp_path):
    film = make_film(
        tmp_path,
        [replace(line, take_level=lv) for line, lv in zip(THREE, (0.9, 0.01, 0.2), strict=True)],
    )
    found, report = mixed(film)
    for line in report.lines:
        piece = slice(line.start, line.start + line.samples)
        heard = loudness_of((found - film.bed)[:, piece], RATE).integrated_lufs
        assert heard == pytest.approx(line.dub_lufs, abs=0.7)


def test_a_persons_wish_comes_on_top(tmp_path):
    film = make_film(tmp_path, THREE)
    wished = [replace(film.takes[0], gain_db=-4.0), *film.takes[1:]]
    levels = LevelOptions(trim_db=0.0)
    _, plain = mixed(film, replace(FLAC, levels=levels))
    _, lowered = mixed(film, replace(FLAC, levels=levels), wished)
    assert lowered.lines[0].dub_lufs == pytest.approx(plain.lines[0].dub_lufs - 4, abs=0.01)
    assert lowered.lines[1].dub_lufs == pytest.approx(plain.lines[1].dub_lufs, abs=0.01)


def test_a_speaker_on_the_left_comes_back_on_the_left(tmp_path):
    lines = [
        Line(seconds(1, 2), pan=(1.0, 0.0)),
        Line(seconds(3, 4), pan=(1.0, 1.0)),
        Line(seconds(5, 6), pan=(0.3, 0.9)),
        Line(seconds(7, 8), pan=(1.0, 0.9)),
    ]
    film = make_film(tmp_path, lines)
    found, _ = mixed(film)
    dub = found - film.bed
    powers = [np.square(dub[:, n.span.start : n.span.end]).sum(axis=1) for n in lines]
    assert powers[0][1] == 0 < powers[0][0]
    assert powers[1][0] == pytest.approx(powers[1][1], rel=1e-3)
    assert powers[2][1] / powers[2][0] == pytest.approx(9, rel=0.02)
    assert powers[3][0] == pytest.approx(powers[3][1], rel=1e-3)


CENTRE = (0.0, 0.0, 1.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("channels", [6, 8])
def test_in_surround_only_the_dialogues_channels_change(tmp_path, channels):
    pan = (*CENTRE, *(0.0,) * (channels - 6))
    film = make_film(tmp_path, [replace(line, pan=pan) for line in THREE], channels=channels)
    found, report = mixed(film)
    assert report.dialogue_channels == (2,)
    for channel in set(range(channels)) - {2}:
        assert found[channel].tobytes() == film.original[channel].tobytes()
    assert not np.array_equal(found[2], film.original[2])


def test_what_the_separator_leaks_into_other_channels_is_given_back(tmp_path):
    leak = (0.02, 0.0, 1.0, 0.3, 0.0, 0.0)
    film = make_film(tmp_path, [replace(line, pan=leak) for line in THREE], channels=6)
    found, report = mixed(film)
    assert report.dialogue_channels == (2,)
    for channel in (0, 1, 3, 4, 5):
        assert np.array_equal(found[channel], film.original[channel])


def test_in_surround_too_a_speaker_stays_in_the_place(tmp_path):
    left = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    lines = [
        replace(THREE[0], pan=CENTRE),
        replace(THREE[1], pan=left),
        replace(THREE[2], pan=CENTRE),
    ]
    film = make_film(tmp_path, [*lines[:1], replace(lines[1], level=0.2), lines[2]], channels=6)
    found, report = mixed(film)
    assert report.dialogue_channels == (0, 2)
    dub = found - film.bed
    span = lines[1].span
    assert np.abs(dub[0, span.start : span.end]).max() > 0.01
    assert not dub[2, span.start : span.end].any()


@pytest.mark.parametrize("preset", ["duck", "voice-over"])
def test_the_bed_goes_down_only_under_the_dub(tmp_path, preset):
    lines = [Line(seconds(3, 4)), Line(seconds(9, 10))]
    film = make_film(tmp_path, lines, seconds=14)
    options = MixOptions(preset=preset, codec="flac", ducking=DuckingOptions(depth_db=12))
    found, report = mixed(film, options)
    assert (report.ducking.moves, report.ducking.depth_db) == (2, 12)
    takes = [Span(n.start, n.start + n.samples) for n in report.lines]
    dips = Ducker(takes, RATE, options.ducking).dips
    original = film.original if preset == "voice-over" else film.bed
    for span in complement([Span(h.rise, h.end) for h in dips], Span(0, 14 * RATE)):
        assert np.array_equal(found[:, span.start : span.end], original[:, span.start : span.end])
    # Just before the first word the bed is down already, and just after the last one still.
    for sample in (takes[0].start - 50, takes[0].end + 1000):
        piece = slice(sample - 40, sample + 40)
        assert np.abs(found[:, piece] / original[:, piece]).mean() == pytest.approx(
            10 ** (-12 / 20), abs=0.03
        )


def test_voice_over_keeps_the_original_voice_audible(tmp_path):
    film = make_film(tmp_path, [Line(seconds(3, 6), take_length=24000)])
    found, report = mixed(film, replace(FLAC, preset="voice-over"))
    late = slice(round(5.6 * RATE), 6 * RATE)
    assert np.array_equal(found[:, late], film.original[:, late])
    assert report.lines[0].samples == RATE


def test_takes_start_and_end_without_a_click(tmp_path):
    film = film_of(tmp_path, pink(1, 6 * RATE, 1e-5), [Line(seconds(2, 3), take_rate=RATE)])
    tone = (0.5 * np.cos(2 * np.pi * 300 * np.arange(RATE) / RATE)).astype(np.float32)
    write_wave(film.takes[0].path, tone, RATE)
    found, _ = mixed(film)
    sound = found[0].astype(float)
    for edge in (2 * RATE, 3 * RATE):
        piece = sound[edge - 2048 : edge + 2048] * np.hanning(4096)
        spectrum = np.abs(np.fft.rfft(piece)) ** 2
        hz = np.fft.rfftfreq(4096, 1 / RATE)
        # A hard edge of this tone leaves -38 dB above 3 kHz.
        assert 10 * np.log10(spectrum[hz > 3000].sum() / spectrum.sum()) < -65


def test_a_take_is_heard_from_its_first_sample_to_its_last(tmp_path):
    film = film_of(
        tmp_path,
        np.zeros((1, 6 * RATE), np.float32),
        [Line(seconds(2, 3), take_rate=22050, take_length=22051)],
    )
    found, report = mixed(film)
    length = round(22051 * RATE / 22050)
    assert report.lines[0].samples == length
    heard = np.flatnonzero(np.abs(found[0]) > 1e-7)
    assert 2 * RATE <= heard[0] <= 2 * RATE + 200
    assert 2 * RATE + length - 200 <= heard[-1] < 2 * RATE + length


def test_takes_over_the_films_ends_are_cut_and_reported(tmp_path):
    lines = [
        Line(seconds(0, 1), start=-12_000),
        Line(seconds(11, 12), start=round(11.5 * RATE)),
        Line(seconds(5, 6), start=13 * RATE),
        Line(seconds(7, 8)),
    ]
    film = make_film(tmp_path, lines)
    found, report = mixed(film)
    assert [line.lost_samples for line in report.lines] == [12_000, 24_000, RATE, 0]
    assert [n for n, line in enumerate(report.lines) if line.lost_samples] == [0, 1, 2]
    assert silent_lines(report) == [2]
    assert any("film's ends" in note for note in report.notes)
    assert found.shape[1] == film.bed.shape[1]
    assert np.abs((found - film.bed)[:, -1]).max() < 1e-4


def test_two_speakers_at_once_are_both_heard(tmp_path):
    lines = [Line(seconds(2, 4)), Line(seconds(2, 4), start=3 * RATE)]
    film = make_film(tmp_path, lines)
    both, _ = mixed(film, replace(FLAC, levels=LevelOptions(trim_db=0)))
    alone = [mixed(film, replace(FLAC, levels=LevelOptions(trim_db=0)), [t])[0] for t in film.takes]
    overlap = slice(3 * RATE, 4 * RATE)
    expected = alone[0] + alone[1] - film.bed
    assert np.abs(both[:, overlap] - expected[:, overlap]).max() < 1e-5


def test_a_film_without_takes_is_its_bed(tmp_path):
    film = make_film(tmp_path, THREE)
    found, report = mixed(film, MixOptions(), takes=[])
    assert np.array_equal(found, film.bed)
    assert report.lines == ()


def test_a_film_without_speech_is_the_film(tmp_path):
    film = make_film(tmp_path, [])
    found, report = mixed(film, MixOptions())
    assert found.tobytes() == film.original.tobytes()
    assert abs(report.miss_lu) < 0.2


def test_silence_with_a_take_and_silence_without(tmp_path):
    silent = np.zeros((2, 4 * RATE), np.float32)
    film = film_of(tmp_path / "a", silent, [Line(seconds(1, 2), level=0.0)])
    found, report = mixed(film, MixOptions())
    assert report.lines[0].dub_lufs == pytest.approx(-27, abs=0.1)
    assert np.abs(found[:, RATE : 2 * RATE]).max() > 0.01
    film = film_of(tmp_path / "b", silent, [])
    for preset in ("source", "ebu-r128", "netflix"):
        found, report = mixed(film, MixOptions(loudness=preset))
        assert report.loudness_lufs == -70
        assert not found.any()


def test_a_silent_take_is_named(tmp_path):
    film = make_film(tmp_path, [replace(THREE[0], take_level=0.0), THREE[1]])
    _, report = mixed(film)
    assert silent_lines(report) == [0]


def test_one_sample_of_film_and_none(tmp_path):
    for samples in (1, 100):
        film = film_of(tmp_path / str(samples), pink(2, samples), [])
        found, _ = mixed(film)
        assert np.array_equal(found, film.bed)


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
def test_odd_rates(tmp_path, rate):
    lines = [Line(Span(rate, 2 * rate), take_rate=24000)]
    film = make_film(tmp_path, lines, seconds=4, channels=2, rate=rate)
    found, report = mixed(film, MixOptions())
    assert report.rate == rate
    span = untouched(film, report)[0]
    assert np.array_equal(found[:, : span.end], film.original[:, : span.end])
    assert abs(report.miss_lu) < 0.2
    late = np.abs(decoded(film.folder / "final_es.ac3", 2, report.track_rate)).max()
    assert late > 0.02


def test_seven_one_is_folded_for_ac3_and_said(tmp_path):
    film = make_film(tmp_path, [replace(THREE[0], pan=(*CENTRE, 0.0, 0.0))], seconds=4, channels=8)
    _, report = mixed(film, MixOptions())
    assert (report.layout, report.track_layout) == ("7.1", "5.1")
    assert any("folded" in note for note in report.notes)


def test_names_that_tools_trip_over(tmp_path):
    odd = tmp_path / "-f 'odd' na:me%d\n\N{CLAPPER BOARD}"
    film = make_film(odd, [THREE[0]], seconds=4)
    _, report = mixed(film, MixOptions())
    assert abs(report.miss_lu) < 0.2


def test_a_mix_appears_whole_or_not_at_all(tmp_path):
    film = make_film(tmp_path, THREE)
    track = tmp_path / "final_es.ac3"
    track.write_bytes(b"the old one")
    film.takes[2].path.write_bytes(b"no wave")
    with pytest.raises(ArtifactError, match=r"take 2\.wav"):
        mix(film.sources, film.takes, track)
    assert track.read_bytes() == b"the old one"
    assert not [p for p in tmp_path.iterdir() if ".part" in p.name]


def test_an_encoder_that_dies_leaves_the_old_track(tmp_path, monkeypatch):
    film = make_film(tmp_path, THREE)
    track = tmp_path / "final_es.ac3"
    track.write_bytes(b"the old one")
    real = ffmpeg.encoder
    monkeypatch.setattr(ffmpeg, "encoder", lambda a: real(["-c:a", "no_such_codec", *a]))
    with pytest.raises(MediaToolError):
        mix(film.sources, film.takes, track)
    assert track.read_bytes() == b"the old one"


def test_stems_that_do_not_match_are_refused(tmp_path):
    film = make_film(tmp_path / "a", THREE)
    other = make_film(tmp_path / "b", [], seconds=3)
    sources = replace(film.sources, vocals=other.sources.vocals)
    with pytest.raises(ArtifactError, match="not of one film"):
        mix(sources, [], tmp_path / "t.ac3")


def test_takes_of_two_channels_are_refused(tmp_path):
    film = make_film(tmp_path, THREE)
    write_wave(film.takes[0].path, pink(2, 5000), RATE)
    with pytest.raises(ArtifactError, match="mono"):
        mix(film.sources, film.takes, tmp_path / "t.ac3")


def test_progress_runs_from_start_to_end(tmp_path):
    film, seen = make_film(tmp_path, THREE), []
    mix(
        film.sources,
        film.takes,
        tmp_path / "t.flac",
        FLAC,
        lambda done, total: seen.append((done, total)),
    )
    assert seen == sorted(seen)
    assert seen[-1] == (12.0, 12.0)


def test_one_encoder_and_no_process_per_line(tmp_path, monkeypatch):
    import subprocess

    lines = [Line(seconds(0.25 * i, 0.25 * i + 0.2)) for i in range(40)]
    film, started, real = make_film(tmp_path, lines), [], subprocess.Popen

    def counted(command, *a, **k):
        started.append(command)
        return real(command, *a, **k)

    mix(film.sources, film.takes, tmp_path / "warm-up.ac3")
    monkeypatch.setattr(subprocess, "Popen", counted)
    report = mix(film.sources, film.takes, tmp_path / "t.ac3")
    assert len(started) == report.passes == 1
    started.clear()
    mix_and_prove(film.sources, film.takes, tmp_path / "t.ac3", MixOptions())
    assert len(started) == 2, "once encoded, once decoded"


def test_the_original_is_measured_once_for_all_languages(tmp_path, monkeypatch):
    film, measured = make_film(tmp_path, THREE), []
    add = k_weighting._Frames.add

    def count(frames, block, **options):
        if options.get("last") and block.shape[1]:
            measured.append(block.shape)
        return add(frames, block, **options)

    monkeypatch.setattr(k_weighting._Frames, "add", count)
    tracks, counts = [], []
    for language in ("es", "fr"):
        measured.clear()
        track = tmp_path / f"final_{language}.ac3"
        mix(film.sources, film.takes, track)
        tracks.append(track.read_bytes())
        counts.append(len(measured))
    # The second knows the voices of three lines, and all parts that trials compare.
    assert counts[0] - counts[1] == len(film.sources.levels.lines) + len(film.sources.levels.parts)
    assert len(film.sources.levels.lines) == 3
    assert tracks[0] == tracks[1]


def test_only_sounding_takes_are_open_and_held(tmp_path, monkeypatch):
    from dubarr_pipeline.media.mix import render as placed_takes

    lines = [Line(seconds(0.5 * i, 0.5 * i + 0.4)) for i in range(40)]
    film, most = make_film(tmp_path, lines, seconds=22), 0
    real = placed_takes.TakesOnTrack.add_to

    def watched(self, start, block):
        nonlocal most
        real(self, start, block)
        most = max(most, len(self._sounding))

    monkeypatch.setattr(placed_takes.TakesOnTrack, "add_to", watched)
    mix(film.sources, film.takes, tmp_path / "t.flac", FLAC)
    assert most <= 2


def test_a_real_trailer_louder_than_full_scale(shared_media, tmp_path):
    """Sintel: -13 LUFS, true peaks over 0 dBTP, music throughout. The voice is ours."""
    source = shared_media / "video" / "sintel_trailer_52s.mp4"
    sound = np.ascontiguousarray(decoded(source, 2, RATE))
    cues = [seconds(12.5, 15), seconds(18, 20.5), seconds(21, 23), seconds(26, 28)]
    film = film_of(tmp_path, sound.copy(), [Line(cue, 0.08, take_level=0.9) for cue in cues])
    film.bed[:] = sound - film.vocals
    write_wave(film.sources.accompaniment, film.bed, RATE)
    original = loudness_of(sound, RATE)
    film = replace(film, sources=replace(film.sources, loudness=original))
    found, report = mixed(film, MixOptions(decode_again=True))
    assert report.source_lufs > -14
    assert abs(report.miss_lu) <= 0.2
    for span in untouched(film, report):
        assert np.array_equal(found[:, span.start : span.end], sound[:, span.start : span.end])
