"""Settings of a process that lives for weeks: read again when their file has changed."""

import logging
import threading
from pathlib import Path

from dubarr_pipeline.config.settings import Settings, load_settings
from dubarr_pipeline.errors import SettingsError

_log = logging.getLogger(__name__)


class LiveSettings:
    """The settings as their file has them now; where that is faulty, as it last was right.

    Without a change it costs one look at the file's date.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings, self._lock = settings, threading.Lock()
        self._path = settings.config_file or Path("dubarr.toml").absolute()
        self._seen = self._version()

    def current(self) -> Settings:
        """Return the settings."""
        with self._lock:
            seen = self._version()
            if seen != self._seen and seen is not None:
                try:
                    self._settings = load_settings(self._path, self._settings.work_dir)
                    _log.info("%s was read again", self._path)
                except SettingsError as error:
                    _log.warning("the settings stay as they were: %s", error)
            self._seen = seen
            return self._settings

    def _version(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
