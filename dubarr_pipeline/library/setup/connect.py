"""The webhook that Radarr and Sonarr send their news by, made and changed by their API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.library.setup.keys import KnownServer, with_webhook
from dubarr_pipeline.library.setup.servers import ServerSession

NAME, USER = "dubarr", "dubarr"
_PLACE = "/api/v3/notification"
_POST = 1
_EVENTS = (
    # Sonarr's onImportComplete sends the same event once more.
    *("onDownload", "onUpgrade", "onRename"),
    *("onMovieFileDelete", "onMovieFileDeleteForUpgrade"),
    *("onEpisodeFileDelete", "onEpisodeFileDeleteForUpgrade"),
)


def webhook_change(server: KnownServer, address: str, token: str) -> str:
    """Return in words what `connect_webhook` would change; empty: nothing.

    Raises:
        SettingsError: if the server does not tell.
    """
    with ServerSession(server.kind, server.url, server.key) as session:
        found = _found(session.ask(_PLACE), address)
        if found is None:
            return f"{session.where}: a webhook {NAME!r} that sends its news to {address}"
        changed = _wished(found, address, token) != found
        same_token = with_webhook(server, address, token).told == server.told
        return "" if same_token and not changed else f"{session.where}: its webhook {NAME!r}"


def connect_webhook(server: KnownServer, address: str, token: str) -> KnownServer:
    """Have a server send its news to an address; it tries that at once, and refuses if it fails.

    Return the server with the mark of what it was told.

    Raises:
        SettingsError: with the server's words if it refuses.
    """
    with ServerSession(server.kind, server.url, server.key) as session:
        found = _found(session.ask(_PLACE), address)
        if found is None:
            schemas = session.ask(f"{_PLACE}/schema")
            schema = next((s for s in schemas if s.get("implementation") == "Webhook"), None)
            if schema is None:
                raise SettingsError(f"{session.where} has no webhooks: update it")
            fresh = {**schema, "name": NAME, "configContract": "WebhookSettings", "tags": []}
            fresh.pop("presets", None)
            _save(session, _PLACE, "POST", _wished(fresh, address, token, new=True), address, token)
        else:
            wished = _wished(found, address, token, new=True)
            _save(session, f"{_PLACE}/{found['id']}", "PUT", wished, address, token)
    return with_webhook(server, address, token)


def _found(listed: Sequence[Mapping[str, Any]], address: str) -> Mapping[str, Any] | None:
    """Return the webhook that is ours: by its name, or by where it sends."""
    hooks = [each for each in listed if each.get("implementation") == "Webhook"]
    named = [each for each in hooks if each.get("name") == NAME]
    sent = [each for each in hooks if _fields(each).get("url") == address]
    return next(iter((*named, *sent)), None)


def _fields(hook: Mapping[str, Any]) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in hook.get("fields", ())}


def _wished(hook: Mapping[str, Any], address: str, token: str, new: bool = False) -> dict[str, Any]:
    """Return a webhook as it should be; its password only if it is to be written."""
    values: dict[str, Any] = {"url": address, "method": _POST, "username": USER}
    if new:
        values["password"] = token
    fields = [
        {**each, "value": values[each["name"]]} if each["name"] in values else each
        for each in hook["fields"]
    ]
    ours = {name: True for name in _EVENTS if hook.get(f"supports{name[0].upper()}{name[1:]}")}
    return {**hook, **ours, "fields": fields}


def _save(
    session: ServerSession, place: str, method: str, hook: Any, address: str, token: str
) -> None:
    answer = session.send(place, method, hook)
    faults = _faults(answer)
    if faults and all(each.get("isWarning") for each in faults):
        answer = session.send(f"{place}?forceSave=true", method, hook)
        faults = _faults(answer)
    if answer.is_success:
        return
    words = [f"{each.get('propertyName')}: {each.get('errorMessage')}" for each in faults]
    said = session.without_key("; ".join(words).replace(token, "***"))
    raise SettingsError(
        f"{session.where} refuses the webhook ({said or answer.status_code}): it must reach "
        f"{address}; give the address by which it does"
    )


def _faults(answer: httpx.Response) -> list[Mapping[str, Any]]:
    if answer.status_code != 400:
        return []
    try:
        told = answer.json()
    except ValueError:
        return []
    return [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []
