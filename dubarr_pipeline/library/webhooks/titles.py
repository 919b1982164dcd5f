"""Films and episodes by their titles, for programs that name no file."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePath

_EPISODE = re.compile(
    r"(?i)(?<![a-z0-9])(?:s(\d{1,4})[ ._-]?((?:e\d{1,4}[ ._-]?(?:-\d{1,4})?)+)|(\d{1,2})x(\d{2,3}))"
)
_YEAR = re.compile(r"(?:18|19|20)\d\d")
_SEASON = re.compile(r"s\d+(e\d+)*|season|series|\d+x\d+")
_ID = re.compile(r"(?i)[\[{(](tmdb|tvdb|imdb)(?:id)?[-=:]([a-z0-9]+)[\]})]")


@dataclass(frozen=True, slots=True)
class TitleEvent:
    """News of a film, or of a series, a season or an episode, by its title.

    Attributes:
        ids: numbers in catalogues, ``tmdb-27205``: where a path names one, it decides.
    """

    title: str
    year: int | None = None
    season: int | None = None
    episode: int | None = None
    ids: tuple[str, ...] = ()

    def names(self, below: PurePath) -> bool:
        """Return whether a video is meant, by its path below its library."""
        found = {(name.lower(), number) for name, number in _ID.findall(str(below))}
        known = {(name, number) for name, _, number in (each.partition("-") for each in self.ids)}
        shared = {name for name, _ in found} & {name for name, _ in known}
        if shared and not found & known:
            return False
        if not (shared or any(self._is_title(part) for part in (*below.parts[:-1], below.stem))):
            return False
        return self.season is None or self._is_part(below.name)

    def _is_title(self, name: str) -> bool:
        """Return whether a name is the title, with nothing but a year or season behind it."""
        title, words = _words(self.title), _words(name)
        if not title or words[: len(title)] != title:
            return False
        rest = words[len(title) :]
        if not rest or _SEASON.fullmatch(rest[0]):
            return True
        # Catalogues differ by a year.
        told = int(rest[0]) if _YEAR.fullmatch(rest[0]) else None
        return told is not None and (self.year is None or abs(told - self.year) <= 1)

    def _is_part(self, name: str) -> bool:
        for season, episodes, other_season, other in _EPISODE.findall(name):
            numbers = [int(number) for number in re.findall(r"\d+", episodes or other)]
            if re.search(r"\d[ ._-]*-", episodes) and len(numbers) == 2:
                numbers = list(range(numbers[0], numbers[1] + 1))
            if int(season or other_season) == self.season:
                return self.episode is None or self.episode in numbers
        return False


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text.casefold()).replace("&", " and ")
    bare = "".join(sign for sign in plain if not unicodedata.combining(sign) and sign not in "'’")
    return re.findall(r"[^\W_]+", bare)
