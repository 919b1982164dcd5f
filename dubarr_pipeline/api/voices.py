"""Better voices than the embedded profile's: what they cost, and how they come here."""

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import invalidate_caches, metadata
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from dubarr_pipeline.config.profile_engines import Pairs, missing_models, voice_need
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.engines.registry import row
from dubarr_pipeline.errors import MissingRequirement, SettingsError
from dubarr_pipeline.files import named_disk_errors, whole_file
from dubarr_pipeline.models.store import is_present, known_model

BETTER = "laptop"
"""The profile with neural voices that needs neither a GPU nor an account."""
_DISTRIBUTION = "dubarr-pipeline"
_ASKED = ".voices-offered"
"""File in the folder of the work folders: the question of a first dub was answered."""
_PROFILE_LINE = re.compile(r"^[ \t]*profile[ \t]*=.*$", re.MULTILINE)
_TABLE = re.compile(r"^[ \t]*\[", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class VoicesOffer:
    """Packages and models that the better voices lack here.

    Attributes:
        packages: requirements to install, as pip reads them.
        models: to fetch: name, licence and about its size in megabytes.
        helpful: models among them that the profile works without, only not as well.
    """

    packages: tuple[str, ...]
    models: tuple[tuple[str, str, int], ...]
    helpful: frozenset[str] = frozenset()

    @property
    def about_mb(self) -> int:
        """Megabytes of models, about; the packages add a few."""
        return sum(size for *_, size in self.models)

    @property
    def licences(self) -> tuple[str, ...]:
        """The licences of the models, each once."""
        return tuple(dict.fromkeys(licence for _, licence, _ in self.models))


def voices_offer(settings: Settings, pairs: Pairs = ()) -> VoicesOffer:
    """Return what the better voices lack here. Asks no network.

    `pairs` are the languages of films, (spoken, target), each of which may want a translator.
    """
    better = better_settings(settings)
    needed = missing_models(better, pairs)
    told = row("diarization", better.engines["diarization"]).models
    helpful = frozenset(name for name in told if name not in needed and not is_present(name))
    known = [known_model(name) for name in (*needed, *sorted(helpful))]
    models = tuple((each.name, each.licence, each.about_mb) for each in known)
    return VoicesOffer(_missing_packages(), models, helpful)


def better_settings(settings: Settings) -> Settings:
    """Return the settings with the profile of the better voices."""
    return settings.for_video(BETTER, {})


def is_to_be_asked(settings: Settings, targets: Sequence[str]) -> bool:
    """Return whether the embedded profile speaks unchosen, and nobody was asked yet.

    `targets` are BCP-47 languages; the better voices are for those that they speak.
    """
    document = settings.document
    chosen = "profile" in document or "engine" in document.get("synthesis", {})
    if settings.profile != "lite" or chosen or (settings.work_dir / _ASKED).exists():
        return False
    better = better_settings(settings)
    return all(voice_need(better, target)[1].present for target in targets)


def remember_answer(settings: Settings) -> None:
    """Write down that the question was answered. Raises `NotWritable`."""
    asked = settings.work_dir / _ASKED
    with named_disk_errors(asked):
        asked.parent.mkdir(parents=True, exist_ok=True)
        asked.touch()


def _missing_packages() -> tuple[str, ...]:
    try:
        required = [Requirement(line) for line in metadata.requires(_DISTRIBUTION) or ()]
    except (metadata.PackageNotFoundError, InvalidRequirement):
        return (f"{_DISTRIBUTION}[{BETTER}]",)
    extra = {"extra": BETTER}
    wanted = [r for r in required if r.marker and r.marker.evaluate(extra)]
    return tuple(f"{r.name}{r.specifier}" for r in wanted if not _is_installed(r))


def _is_installed(wanted: Requirement) -> bool:
    try:
        return wanted.specifier.contains(metadata.version(wanted.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


def install(packages: Sequence[str]) -> None:
    """Install packages into this environment by pip, which prints its own progress.

    Raises:
        MissingRequirement: if that fails; it names the command for another installer.
    """
    wanted = " ".join(f"'{package}'" for package in packages)
    if find_spec("pip") is None:
        raise MissingRequirement(
            f"there is no pip beside {sys.executable}: install {wanted} there by the tool that "
            "made this environment (`uv pip install`, `pipx inject`), then run this again"
        )
    command = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *packages)
    if subprocess.run(command, check=False).returncode:
        raise MissingRequirement(
            f"pip could not install {wanted}: its words are above; install it by hand into the "
            f"environment of {sys.executable}, then run this again"
        )
    invalidate_caches()


def choose_profile(settings: Settings, profile: str = BETTER) -> Path:
    """Write the profile into the settings file, which is made if there is none; return its path.

    Raises:
        NotWritable: if it cannot be written.
        SettingsError: if it is not UTF-8 text.
    """
    path = settings.config_file or Path("dubarr.toml").absolute()
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    except UnicodeDecodeError as error:
        raise SettingsError(f"settings file {str(path)!r} is not UTF-8: {error}") from error
    line = f'profile = "{profile}"'
    tables = _TABLE.search(text)
    top = tables.start() if tables else len(text)
    head, rest = text[:top], text[top:]
    if _PROFILE_LINE.search(head):
        head = _PROFILE_LINE.sub(line, head, count=1)
    else:
        head = f"{line}\n{head}"
    with whole_file(path.resolve()) as part:
        part.write_text(head + rest, encoding="utf-8")
    return path
