"""The error tree. A message says what is wrong, where (video, stream, line, time) and the cure.

DubbingError
├── SettingsError: LicenceError, LanguageError (SpokenLanguage)
├── SourceError: SourceMissing, NotAVideo, NoAudio, NoScript, NotMuxable, SourceChanged
├── WorkspaceError: NotWritable, DiskFull, ArtifactError, VideoBusy
├── MissingRequirement: ModelRefused, ModelDamaged
├── EngineError: LineError, OutOfMemory
├── ServiceError: ServiceTimeout, ServiceUnavailable, BadReply (ContextTooLong)
└── RequestRefused, MediaToolError, VerificationError
"""


class DubbingError(Exception):
    """Anything that dubarr knows how to name."""


class SettingsError(DubbingError):
    """A setting, an option or an environment variable is wrong."""


class LicenceError(SettingsError):
    """An engine's or a model's licence allows no commercial use, and was not accepted."""


class LanguageError(SettingsError):
    """A language is unknown, the same as the source's, or served by no engine."""


class SpokenLanguage(LanguageError):
    """A target is the language that is spoken already; nothing that may come changes that."""


class SourceError(DubbingError):
    """The video cannot be used as it is."""


class SourceMissing(SourceError):
    """The video is not there, or cannot be read."""


class NotAVideo(SourceError):
    """No container that can be read: not a video, zero bytes, or truncated."""


class NoAudio(SourceError):
    """The video has no audio stream that could be dubbed."""


class NoScript(SourceError):
    """There are no subtitles, and no engine is configured that could hear the words."""


class NotMuxable(SourceError):
    """The video holds something that the finished file could not keep as it is."""


class SourceChanged(SourceError):
    """The file is no longer the one that was registered."""


class WorkspaceError(DubbingError):
    """The work folder cannot be used."""


class NotWritable(WorkspaceError):
    """There is no permission to write in the work folder."""


class DiskFull(WorkspaceError):
    """There is no room left on the disk that holds the work folder."""


class ArtifactError(WorkspaceError):
    """An artifact is missing, damaged, or of a schema that this version cannot read."""


class VideoBusy(WorkspaceError):
    """Another process is working on this video."""


class MissingRequirement(DubbingError):
    """A program, package, model or service that an engine needs is not here."""


class ModelRefused(MissingRequirement):
    """A model's host lacks it, or (`forbidden`) wants a token or its conditions accepted first."""

    def __init__(self, message: str, forbidden: bool = False) -> None:
        super().__init__(message)
        self.forbidden = forbidden


class ModelDamaged(MissingRequirement):
    """A model's files are not what they must be, even after they were fetched again."""


class EngineError(DubbingError):
    """An engine failed at its work."""


class LineError(EngineError):
    """One line could not be made; `failure` is the short stable name that the report counts."""

    def __init__(self, failure: str, message: str) -> None:
        super().__init__(message)
        self.failure = failure


class OutOfMemory(EngineError):
    """An engine ran out of memory; a smaller batch or another device may do."""


class ServiceError(DubbingError):
    """A server answered wrongly, too late, or not at all."""


class ServiceTimeout(ServiceError):
    """A server did not answer in the time it was given."""


class ServiceUnavailable(ServiceError):
    """A server cannot be reached, or refuses work."""


class BadReply(ServiceError):
    """A server's reply breaks its contract; the message names the fault."""


class ContextTooLong(BadReply):
    """The request to a language model, or its answer, is longer than its window."""


class RequestRefused(DubbingError):
    """A request to a server of ours is refused: HTTP status, code for programs, reason and cure."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class MediaToolError(DubbingError):
    """ffmpeg or mkvtoolnix failed; the message carries its own last words."""


class VerificationError(DubbingError):
    """A finished file is not what it must be: a stream differs, a flag is wrong."""
