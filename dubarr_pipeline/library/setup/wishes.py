"""Wishes of a person who sets dubarr up, as terminal and page ask for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dubarr_pipeline.config.libraries import PublishMode
from dubarr_pipeline.library.setup.keys import KnownServer
from dubarr_pipeline.library.setup.servers import Kind


@dataclass(frozen=True, slots=True)
class ServerWish:
    """A server to work with; an empty key is the one that is kept for its address."""

    kind: Kind
    url: str
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SetupWish:
    """All that set-up asks for.

    Attributes:
        folders: of films, each of which becomes a library.
        targets: BCP-47 languages to dub into.
        profile: of the voices; empty: as it is.
        publish: place of the dubbed films.
        servers: to work with.
        mappings: folders as a server names them, and ours, where they cannot be told.
        address: under which the servers reach dubarr's receiver; empty: found out.
    """

    folders: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    profile: str = ""
    publish: PublishMode = "beside"
    servers: tuple[ServerWish, ...] = ()
    mappings: Mapping[str, str] = field(default_factory=dict[str, str])
    address: str = ""


@dataclass(frozen=True, slots=True)
class SetupChange:
    """A step of set-up in words; its fault, if it cannot be or was not done; empty: it can."""

    words: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class SetupPlan:
    """Steps that set-up would take, and what it leaves alone, with the reason.

    Attributes:
        text: of the settings file afterwards; None: it stays.
        receiver: address by server, to which its news go.
        servers: those that can be used, with their keys.
        unknown: folders of servers that are none of ours, as far as can be told.
        notes: what a person does elsewhere.
    """

    changes: tuple[SetupChange, ...]
    faults: tuple[str, ...]
    text: str | None = None
    receiver: Mapping[str, str] = field(default_factory=dict[str, str])
    servers: tuple[KnownServer, ...] = ()
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
