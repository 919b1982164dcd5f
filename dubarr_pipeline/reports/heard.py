"""Judgements of what is heard in a decoded track, for the gate and for the asset checks."""

AUDIBLE_DB = -10.0
"""A take this far below the gain that mixer and limiter gave it is not the one that was mixed."""
_SILENT_LUFS = -70.0


def is_unheard(gain_db: float, dub_lufs: float, limited_db: float) -> bool:
    """Return whether a placed take is not heard in the decoded track.

    `gain_db` is its level there against the mixer's gain, of which `limited_db` were limited.
    """
    return dub_lufs <= _SILENT_LUFS or gain_db < AUDIBLE_DB + limited_db


def loudness_miss_lu(
    measured_lufs: float, target_lufs: float, mixed_lufs: float, mixed_miss_lu: float
) -> float:
    """Return how far a decoded track is off its target; a dialogue-gated one only the mixer knows.

    `mixed_lufs` and `mixed_miss_lu` are the mixer's own figures.
    """
    is_gated = abs(mixed_miss_lu + target_lufs - mixed_lufs) > 0.01
    return mixed_miss_lu if is_gated else measured_lufs - target_lufs
