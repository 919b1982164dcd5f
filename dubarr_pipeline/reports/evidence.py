"""Evidence of a report: the artifacts of a video, read and checked, and the files on disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import read_json
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.media.mux.mux import MuxReport
from dubarr_pipeline.script.fit.placing import ScriptPlacement
from dubarr_pipeline.script.fit.values import Coverage, coverage
from dubarr_pipeline.script.model import ScriptEdit, SpeakerProfile, Transcript
from dubarr_pipeline.script.speakers.casting import CastVoice
from dubarr_pipeline.segments.cast import Cast, read_cast
from dubarr_pipeline.segments.results import LineResult, SegmentsResult, read_segments
from dubarr_pipeline.workdir import artifacts
from dubarr_pipeline.workdir.corrections import edited_speakers
from dubarr_pipeline.workdir.layout import WorkDir


@dataclass(frozen=True, slots=True)
class RefNote:
    """Voice reference of a speaker, from ``refs.json``.

    Attributes:
        length_s: None where none could be chosen.
        candidates: number of stretches that were considered.
        note: fault of the reference, or why there is none; empty if it is clean.
    """

    length_s: float | None = None
    snr_db: float | None = None
    zcr: float | None = None
    candidates: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class HeardLine:
    """Take in the mixed track: its first sample, the samples that are lost, and its loudness."""

    start: int
    samples: int
    speaker: str
    lost_samples: int = 0
    dub_lufs: float = 0.0


@dataclass(frozen=True, slots=True)
class TrackNote:
    """Part of ``mix.json`` that a report shows; `MixReport` of `media.mix` documents the fields."""

    codec: str
    track_layout: str
    bitrate_kbps: int | None
    measured_on: str
    loudness_lufs: float
    true_peak_dbtp: float
    lra_lu: float
    dialogue_lufs: float
    source_lufs: float
    target_lufs: float
    miss_lu: float
    clipped_samples: int
    lines: tuple[HeardLine, ...]
    notes: tuple[str, ...] = ()
    limited_db: float = 0.0


@dataclass(frozen=True, slots=True)
class HearingNote:
    """Part of a track's proof that a report shows; `TrackProof` of `media.mix` documents it."""

    speech_s: float = 0.0
    dubbed_s: float = 0.0
    muted_s: tuple[tuple[float, float], ...] = ()
    original_left_db: float | None = None
    doubled_s: tuple[float, ...] = ()
    loudness_lufs: float | None = None
    line_gains_db: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ScriptNote:
    """Gaps and corrections of the script analysis.

    Attributes:
        gaps: parts that were not analysed, or are missing for a language, in words.
        edits: mishearings, applied or not.
        tokens, busy_s: tokens that the language model wrote, and the seconds that it took.
    """

    gaps: tuple[str, ...] = ()
    edits: tuple[ScriptEdit, ...] = ()
    tokens: int = 0
    busy_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Artifacts of one video.

    Attributes:
        mixes: tracks of the mixer, by language.
        heard: what is heard in the decoded tracks, by language.
        cast: language -> speaker -> their stock voice, where the engine has any.
        corrected: names of the files of a person's corrections.
        coverage: the detected speech and the script, each laid against the other.
        placement: how the subtitles were put on the film.
        sound_samples: (language, index) -> samples in the take's file, as read from it; None where
            the file is missing or damaged.
    """

    sound: artifacts.SourceSound
    script: Transcript
    production: SegmentsResult
    mixes: Mapping[str, TrackNote]
    heard: Mapping[str, HearingNote]
    mux: MuxReport
    speakers: Mapping[str, SpeakerProfile]
    refs: Mapping[str, RefNote]
    sound_samples: Mapping[tuple[str, int], int | None]
    coverage: Coverage
    cast: Cast = field(default_factory=dict[str, Mapping[str, CastVoice]])
    corrected: tuple[str, ...] = ()
    reading: ScriptNote = ScriptNote()
    placement: ScriptPlacement = field(default_factory=ScriptPlacement)

    def lines(self, language: str) -> tuple[LineResult, ...]:
        """Return the lines of a language; none where it was not dubbed."""
        return tuple(self.production.languages.get(language, ()))


_MIXES = TypeAdapter(dict[str, TrackNote])
_HEARINGS = TypeAdapter(dict[str, HearingNote])
_MUX = TypeAdapter(MuxReport)
_SCRIPT = TypeAdapter(ScriptNote)


def gather(work: WorkDir) -> Evidence:
    """Read a finished video's artifacts. Raises `ArtifactError` if one is missing or damaged."""
    production = read_segments(work)
    tracks = read_json(work.mix_report).get("tracks", {})
    mixes = {language: track.get("report") for language, track in tracks.items()}
    proofs = {language: track["proof"] for language, track in tracks.items() if "proof" in track}
    refs: dict[str, RefNote] = {}
    for who, ref in read_json(work.refs_report).get("speakers", {}).items():
        note = ref.get("failure") or ref.get("fallback") or ""
        count = len(ref.get("candidates", ()))
        refs[who] = RefNote(candidates=count, note=note)
        if chosen := ref.get("chosen"):
            length_s = round(chosen["end"] - chosen["start"], 3)
            refs[who] = RefNote(length_s, chosen["snr_db"], chosen["zcr"], count, note)
    placed = [line for lines in production.languages.values() for line in lines if line.placed]
    sound, script = artifacts.read_sound(work.speech), artifacts.read_transcript(work.transcription)
    return Evidence(
        sound=sound,
        script=script,
        coverage=coverage(script.segments, sound.speech, script.rate),
        production=production,
        mixes=artifacts.checked(_MIXES.validate_python, mixes, work.mix_report),
        heard=artifacts.checked(_HEARINGS.validate_python, proofs, work.mix_report),
        mux=artifacts.checked(_MUX.validate_python, read_json(work.mux_report), work.mux_report),
        speakers=edited_speakers(work),
        cast=read_cast(work),
        corrected=tuple(
            path.name
            for path in sorted(work.edits.glob("[!.]*"))
            # The script that edits were made on is no edit.
            if path.name != "base.json"
        ),
        refs=refs,
        sound_samples={(line.language, line.index): _samples(line) for line in placed},
        reading=_reading(work, tuple(production.languages)),
        placement=artifacts.read_cues_document(work.cues).placement,
    )


def _reading(work: WorkDir, languages: tuple[str, ...]) -> ScriptNote:
    """Return the context's gaps and edits, and the gaps of each language's brief, if any."""
    context, usage = artifacts.read_context(work.context), read_json(work.context).get("usage", {})
    briefs = {lang: work.brief(lang) for lang in languages if work.brief(lang).is_file()}
    gaps = [
        f"{lang}: {gap}" for lang, path in briefs.items() for gap in read_json(path).get("gaps", ())
    ]
    found = {"gaps": (*context.gaps, *gaps), "edits": context.edits, **usage}
    return artifacts.checked(_SCRIPT.validate_python, found, work.context)


def _samples(line: LineResult) -> int | None:
    """Return the length of a line's take, from its file's header."""
    if line.path is None:
        return None
    try:
        with WaveFile(line.path) as sound:
            return sound.samples
    except ArtifactError:
        return None
