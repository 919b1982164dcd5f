"""Facts in effect: what is left after undo and redo, the last word of each field."""

from collections.abc import Iterable, Sequence

from dubarr_pipeline.edits.model import Fact

Slot = tuple[str, str, str]
"""Target, its id and the field: what a fact has the last word on."""


def slot(fact: Fact) -> Slot:
    """Return what a fact is about."""
    return fact.target, fact.target_id, fact.field


def undone(facts: Sequence[Fact]) -> frozenset[str]:
    """Return the ids of the facts that are taken back; a redo takes back an undo.

    Later facts take back earlier ones only, so one walk from the end decides them all.
    """
    gone: set[str] = set()
    for fact in reversed(facts):
        if fact.undoes and fact.id not in gone:
            gone.add(fact.undoes)
    return frozenset(gone)


def in_effect(facts: Iterable[Fact]) -> dict[Slot, Fact]:
    """Return the fact that has the last word on each slot, in order of the facts.

    A slot on which the machine has the last word again (the value None) is left out.
    """
    stated = tuple(facts)
    gone, last = undone(stated), dict[Slot, Fact]()
    for fact in stated:
        if fact.undoes is None and fact.id not in gone:
            last.pop(slot(fact), None)
            last[slot(fact)] = fact
    return {where: fact for where, fact in last.items() if fact.value is not None}
