"""Options of the fit: how evidence is weighed, how far it searches, what it accepts.

The defaults were measured on made films and on a film with real voices; see
docs/decisions/0021-script-fit.md and benchmarks/script_fit.py.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

RATIOS = {
    Fraction(1): (Fraction(1001, 1000), Fraction(1000, 1001)),
    Fraction(24, 25): (Fraction(24_000, 25_025),),
    Fraction(25, 24): (Fraction(25_025, 24_000),),
}
"""Film time over file time between releases: film at 24, PAL at 25 pictures a second.

Each with the ratios that differ from it by 1001/1000: NTSC film runs at 24000/1001 pictures.
"""


@dataclass(frozen=True, slots=True)
class EvidenceOptions:
    """Weights of one cue's evidence, in nats, for a cue at its right place against chance.

    Attributes:
        speech_share: least share of speech expected under a cue.
        weight_per_s: nats that a second of independent observations is worth.
        pause_s: longest part of the pause after a cue that counts.
        start_spread_s: scale of the Laplace distribution of speech starts around cue starts.
        start_hits: share of cues whose start is near a detected start.
        end_spread_s: the same scale for the ends.
        end_hits: share of cues whose end is near a detected end.
        linger_s: usual delay of a cue's end after the end of its speech.
        lowest: least evidence that one cue can give, so that no single cue decides.
        highest: most evidence that one cue can give.
        discount: factor on everything, because neighbouring cues are not independent; chosen so
            that the mean of exp(evidence of 12 cues) over wrong offsets is at most 1.
        stretch_s: an unbroken stretch of speech or of silence says no more than this much of it.
        outside_per_s: nats for a second of a cue outside the film.
    """

    speech_share: float = 0.78
    weight_per_s: float = 0.7
    pause_s: float = 2.0
    start_spread_s: float = 0.18
    start_hits: float = 0.6
    end_spread_s: float = 0.35
    end_hits: float = 0.35
    linger_s: float = 0.35
    lowest: float = -2.5
    highest: float = 3.5
    discount: float = 0.75
    stretch_s: float = 10.0
    outside_per_s: float = -1.2


ON_SPEECH = EvidenceOptions()
"""A script against the speech of a detector."""
ON_CUES = EvidenceOptions(
    speech_share=0.9,
    start_spread_s=0.1,
    start_hits=0.8,
    end_spread_s=0.25,
    end_hits=0.5,
    linger_s=0.0,
    stretch_s=math.inf,
    lowest=-3.5,
    highest=4.5,
)
"""A translation against the cues of a script: both were timed by people."""


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """Costs of the search for pieces, in nats.

    Attributes:
        reach_s: furthest offset between file and film.
        jump: cost of a new piece.
        own_time_gain: saved where a piece keeps the file's own times.
        own_time_s: offsets up to here count as the file's own times in the search.
        overlap_s: by how much a piece may begin before the last one ends.
        ratio_cost: cost of a frame-rate ratio.
        ntsc_cost: cost of 1001/1000 and its inverse against the file's own speed.
    """

    reach_s: float = 600.0
    jump: float = 11.0
    own_time_gain: float = 8.0
    own_time_s: float = 0.5
    overlap_s: float = 0.6
    ratio_cost: float = 4.0
    ntsc_cost: float = 6.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """Least evidence `total` and least `lead` over other offsets at which a piece is accepted."""

    total: float
    lead: float


@dataclass(frozen=True, slots=True)
class AcceptOptions:
    """Bounds of evidence, in nats, at which pieces and files are accepted.

    Attributes:
        alone: bounds of any piece; `total` grows with the logarithm of the file's cues over 300.
        beside: bounds next to a piece that reaches `strong`.
        strong: total and lead of a piece that vouches for its neighbours.
        bulk, bulk_share: bounds of a piece that holds this share of the file.
        own_time: bounds at the file's own times; `total` grows as for `alone`.
        own_time_short, short_cues: the same in files of at most so many cues.
        between: bounds of a piece between two pieces that share one offset.
        same_s: offsets at most this far apart are one piece.
        keep_own_s: offsets up to here leave the file's own times untouched.
        keep_own: so do offsets up to `same_s` that fit better by less than this.
        total_share: files with less than this share of cues in accepted pieces ...
        total: ... and less evidence than this in all of them together count as not accepted.
        least_cues: files of fewer cues are not mapped, and at most unsure: no whole script is
            that short, and few cues fit by chance.
        own_total, own_mean: a file without accepted pieces is used as it is if its summed evidence
            at its own times is above the one, or above the other per cue, whichever is less ...
        own_rank: ... and it fits worse at more than this share of other offsets.
        own_rank_few: the same in files of fewer than `least_cues` cues.
    """

    alone: Bounds = Bounds(16, 8)
    beside: Bounds = Bounds(11, 7)
    strong: Bounds = Bounds(30, 30)
    bulk: Bounds = Bounds(11, 6)
    bulk_share: float = 0.7
    own_time: Bounds = Bounds(9, 0)
    own_time_short: Bounds = Bounds(8, 0)
    short_cues: int = 60
    between: Bounds = Bounds(18, 12)
    same_s: float = 0.75
    keep_own_s: float = 0.25
    keep_own: float = 8.0
    total_share: float = 0.25
    total: float = 60.0
    least_cues: int = 15
    own_total: float = -10.0
    own_mean: float = -0.25
    own_rank: float = 0.995
    own_rank_few: float = 0.9


@dataclass(frozen=True, slots=True)
class BorderOptions:
    """Weights of the search for the cues between which the file breaks, in nats.

    Attributes:
        reach_cues: furthest that a border moves from where the search put it.
        pause_gain, pause_s: gain of a break in a pause so long or longer, less in shorter ones.
        left_out: cost of a left-out cue where the offsets say the script has more than the film.
        left_out_amiss: the same where they do not.
        break_amiss: cost of leaving out any cue where they do not.
        sure: a cue placed with less probability than this is listed as unsure.
        used: a cue placed with less probability than this is left out.
        edge_fall: fall of the running sum that ends the first and the last piece.
        edge_fall_own: the same at the file's own times.
        edge_rival: a dropped piece at an edge that fits better by this ends its neighbour.
        unheard_fall: fall of the running sum over a run of used cues that is named.
    """

    reach_cues: int = 60
    pause_gain: float = 3.0
    pause_s: float = 3.0
    left_out: float = 0.15
    left_out_amiss: float = 0.2
    break_amiss: float = 2.0
    sure: float = 0.8
    used: float = 0.5
    edge_fall: float = 25.0
    edge_fall_own: float = 35.0
    edge_rival: float = 15.0
    unheard_fall: float = 10.0


@dataclass(frozen=True, slots=True)
class FitOptions:
    """Options of fitting a cue list to the speech of a film, or to another cue list."""

    evidence: EvidenceOptions = ON_SPEECH
    search: SearchOptions = SearchOptions()
    accept: AcceptOptions = AcceptOptions()
    borders: BorderOptions = BorderOptions()


SCRIPT = FitOptions()
TRANSLATION = FitOptions(evidence=ON_CUES)
