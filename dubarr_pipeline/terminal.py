"""What a terminal is told: exit codes, and text that any terminal takes."""

from __future__ import annotations

from dubarr_pipeline import errors

EXIT_CODES = """\b
Exit codes:
  0  everything asked for is done
  1  at least one video ended in an error (the others are done)
  2  wrong usage: an option, a setting or a language
  3  something that the profile needs is missing (`dubarr doctor`)
  4  a video cannot be used: not there, not a video, no audio, no script
  5  the work folder cannot be used: not writable, disk full, busy
  130  stopped from the keyboard; run the same command to go on
"""


def exit_code(error: str | None) -> int:
    """The documented exit code of an error, by the name of its type."""
    kind = getattr(errors, error or "", errors.DubbingError)
    for base, code in (
        (errors.SettingsError, 2),
        (errors.MissingRequirement, 3),
        (errors.SourceError, 4),
        (errors.WorkspaceError, 5),
    ):
        if issubclass(kind, base):
            return code
    return 1


def printable(text: str) -> str:
    """A message that any terminal takes: file names that are no UTF-8 are shown with escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
