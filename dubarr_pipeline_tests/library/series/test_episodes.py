"""Episodes enter the memory, corrections outlive everything, and nothing grows stale by itself."""

from __future__ import annotations

import itertools
import json
import random
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from dubarr_pipeline.errors import ArtifactError, SettingsError
from dubarr_pipeline.library.series.corrections import (
    NEW,
    CastCorrection,
    add_corrections,
    affected_episodes,
    ask_for,
    asked_facts,
    cast_of,
    peoples_word,
)
from dubarr_pipeline.library.series.episodes import EpisodeSpeakers, enter_episode
from dubarr_pipeline.library.series.glossary import merged_glossary, with_series_terms
from dubarr_pipeline.library.series.memory import CastMemory, SeriesFolder
from dubarr_pipeline.library.series.references import sweep_references, with_references
from dubarr_pipeline.script.model import Context, SpeakerProfile, Term
from dubarr_pipeline.script.speakers.series_prints import PLAIN, VoicePrint
from dubarr_pipeline.workdir.layout import WorkDir

VOICES = {"anna": 0.0, "paul": 10.0, "ruth": 20.0, "carl": 30.0}
EMPTY = CastMemory("the-boat", "The Boat")


def film(
    key: str, speakers: Mapping[str, str], heard: str = "1", **facts: object
) -> EpisodeSpeakers:
    """Return a film whose speakers (id -> person) are heard clearly."""
    prints = {
        who: {PLAIN: VoicePrint((VOICES[person] + 0.1 * random.Random(key + who).random(),), 20.0)}
        for who, person in speakers.items()
    }
    profiles = {who: SpeakerProfile(who, name=person) for who, person in speakers.items()}
    given = {"prints": prints, "profiles": profiles, "sample_scores": {}, **facts}
    return EpisodeSpeakers(key, key.upper(), heard, **given)  # pyright: ignore


E1 = film("e1", {"S0": "anna", "S1": "paul"})
E2 = film("e2", {"S0": "paul", "S1": "ruth", "S2": "anna"})
E3 = film("e3", {"S0": "ruth", "S1": "carl"})


def entered(*films: EpisodeSpeakers, memory: CastMemory = EMPTY) -> CastMemory:
    for each in films:
        memory = enter_episode(memory, each)
    return memory


def people(memory: CastMemory, key: str) -> dict[str, str]:
    """Return speaker -> name of their character."""
    word = peoples_word(memory)
    own = cast_of(memory, key, word)
    return {who: word.names.get(c) or memory.characters[c].name or c for who, c in own.items()}


@pytest.mark.parametrize("order", [*itertools.permutations((E1, E2, E3))])
def test_episodes_may_come_in_any_order(order: tuple[EpisodeSpeakers, ...]):
    memory = entered(*order)
    assert len(memory.characters) == 4
    assert people(memory, "e1") == {"S0": "anna", "S1": "paul"}
    assert people(memory, "e2") == {"S0": "paul", "S1": "ruth", "S2": "anna"}
    assert people(memory, "e3") == {"S0": "ruth", "S1": "carl"}
    assert entered(*order, memory=memory) == memory


def test_a_correction_counts_from_then_on_and_in_finished_films_on_request():
    memory = entered(E1, E2)
    (anna,) = (c for c, each in memory.characters.items() if each.name == "anna")
    chosen = CastCorrection(anna, "voice", "ef_dora", "es", "kokoro")
    memory = add_corrections(memory, [chosen], "me")
    assert (memory.revision, affected_episodes(memory)) == (1, ["e1", "e2"])
    assert asked_facts(memory, "e1") == []
    memory = entered(E3, memory=memory)
    assert affected_episodes(memory) == ["e1", "e2"]
    memory = ask_for(memory, ["e1"])
    assert [fact.revision for fact in asked_facts(memory, "e1")] == [1]
    assert asked_facts(memory, "e2") == []
    word = peoples_word(memory, memory.episodes["e2"].asked)
    assert anna not in word.voices
    # A name is not heard: no film is made again for it.
    memory = add_corrections(memory, [CastCorrection(anna, "name", "Ana")], "me")
    assert affected_episodes(memory) == ["e2"]
    assert people(memory, "e2")["S2"] == "Ana"
    # The machine's again.
    memory = add_corrections(memory, [replace(chosen, value=None)], "me")
    assert anna not in peoples_word(memory).voices


def test_who_somebody_is_puts_both_characters_right():
    memory = entered(E1)
    memory = add_corrections(memory, [CastCorrection("e1/S0", "character", NEW)], "me")
    assert cast_of(memory, "e1", peoples_word(memory)) == {"S0": "C03", "S1": "C02"}
    assert affected_episodes(memory) == ["e1"]
    # The new one is known again by the voice, the old one has none left.
    memory = entered(film("e2", {"S0": "anna"}), memory=memory)
    assert memory.episodes["e2"].speakers["S0"].character == "C03"


def test_a_proposal_waits_for_a_person():
    near = film("e2", {"S0": "anna"})
    near = replace(near, prints={"S0": {PLAIN: VoicePrint((1.5,), 20.0)}})
    memory = entered(E1, near)
    seen = memory.episodes["e2"].speakers["S0"]
    assert (seen.outcome, seen.character, seen.proposed) == ("proposed", None, "C01")
    assert cast_of(memory, "e2", peoples_word(memory)) == {}
    memory = add_corrections(memory, [CastCorrection("e2/S0", "character", "C01")], "me")
    assert cast_of(memory, "e2", peoples_word(memory)) == {"S0": "C01"}


def test_a_film_that_is_heard_anew_keeps_its_people_and_their_corrections():
    memory = add_corrections(entered(E1, E2), [CastCorrection("e2/S1", "character", "C01")], "me")
    memory = ask_for(memory, ["e2"])
    anew = film("e2", {"S0": "carl", "S1": "anna", "S2": "ruth", "S3": "paul"}, heard="2")
    memory = entered(anew, memory=memory)
    assert cast_of(memory, "e2", peoples_word(memory)) == {
        "S0": "C04",
        "S1": "C01",
        "S2": "C01",
        "S3": "C02",
    }
    assert [fact.revision for fact in asked_facts(memory, "e2")] == [1]


def test_a_better_release_takes_the_place_of_the_old_one():
    memory = entered(E1, E2)
    memory = add_corrections(memory, [CastCorrection("e1/S0", "character", "C03")], "me")
    better = film("e1-better", {"S0": "paul", "S1": "anna"}, replaces=("e1",))
    memory = entered(better, memory=memory)
    assert list(memory.episodes) == ["e2", "e1-better"]
    assert cast_of(memory, "e1-better", peoples_word(memory)) == {"S0": "C02", "S1": "C03"}


def test_no_correction_counts_by_itself_in_a_film_that_was_finished_before():
    memory = entered(E1)
    memory = add_corrections(memory, [CastCorrection("C01", "voice", "x", "es", "kokoro")], "me")
    memory = entered(replace(E2, is_finished=True), memory=memory)
    assert memory.episodes["e2"].was_finished
    assert asked_facts(memory, "e2") == []
    assert affected_episodes(memory) == ["e1", "e2"]


@pytest.mark.parametrize(
    ("correction", "words"),
    [
        (CastCorrection("e9/S0", "character", "C01"), "e1"),
        (CastCorrection("e1/S9", "character", "C01"), "S0, S1"),
        (CastCorrection("e1/S0", "character", "C09"), "C01, C02, new"),
        (CastCorrection("C09", "name", "Anna"), "C01, C02"),
        (CastCorrection("C01", "name", "  "), "1 to 200"),
        (CastCorrection("C01", "voice", "x", "", "kokoro"), "language"),
        (CastCorrection("C01", "voice", "x", "es"), "engine"),
    ],
)
def test_what_is_not_there_is_named_and_nothing_is_half_stored(
    correction: CastCorrection, words: str
):
    memory = entered(E1)
    right = CastCorrection("C01", "name", "Anna")
    with pytest.raises(SettingsError, match=words):
        add_corrections(memory, [right, correction], "me")


def test_two_episodes_at_once_leave_one_whole_memory(tmp_path: Path):
    folder = SeriesFolder.of("the-boat", tmp_path)

    def enter(number: int) -> None:
        with folder.alone():
            memory = folder.read() or EMPTY
            folder.write(enter_episode(memory, film(f"e{number}", {"S0": "anna", "S1": "paul"})))

    threads = [threading.Thread(target=enter, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    memory = folder.read()
    assert memory
    assert (len(memory.episodes), len(memory.characters)) == (8, 2)
    assert json.loads(folder.cast.read_text())["schema"] == 1


def test_a_damaged_memory_is_named_and_left(tmp_path: Path):
    folder = SeriesFolder.of("the-boat", tmp_path)
    folder.root.mkdir(parents=True)
    folder.cast.write_text('{"schema": 1, "series": 7}')
    with pytest.raises(ArtifactError, match=r"cast\.json"):
        folder.read()
    assert folder.cast.is_file()


def test_the_best_sample_is_kept_and_follows_a_correction(tmp_path: Path):
    folder, samples = SeriesFolder.of("the-boat", tmp_path), {"e1": b"poor", "e2": b"good"}
    for key, sound in samples.items():
        path = WorkDir(tmp_path / key).ref("S0")
        path.parent.mkdir(parents=True)
        path.write_bytes(sound)
    scores = {"e1": 1.0, "e2": 2.0}
    films = [film(key, {"S0": "anna"}, sample_scores={"S0": scores[key]}) for key in samples]

    def kept(memory: CastMemory) -> tuple[CastMemory, bytes | None]:
        word = peoples_word(memory)
        memory = with_references(memory, folder, tmp_path, word, memory.characters)
        sweep_references(memory, folder)
        best = memory.characters["C01"].reference
        return memory, (folder.references / best.file).read_bytes() if best else None

    memory, sound = kept(entered(*films))
    assert (sound, len(list(folder.references.iterdir()))) == (b"good", 1)
    memory, sound = kept(add_corrections(memory, [CastCorrection("e2/S0", "character", NEW)], "me"))
    assert sound == b"poor"
    assert memory.characters["C02"].reference
    assert len(list(folder.references.iterdir())) == 2


def test_what_was_rendered_first_stays_and_a_person_is_above_it():
    first = Term("Winterfell", "place", {"es": "Invernalia"})
    later = Term("Winterfell", "place", {"es": "Otra", "fr": "Winterfell"}, {"es": "in ber"})
    series = merged_glossary([first], [later, Term("Anna", "person")])
    assert series == (
        Term("Winterfell", "place", {"es": "Invernalia", "fr": "Winterfell"}, {"es": "in ber"}),
    )
    context = Context("", "", glossary=(Term("Winterfell", "place", {"es": "Otra"}),))
    none = peoples_word(EMPTY)
    assert (
        with_series_terms(context, series, none, ()).glossary[0].translations["es"] == "Invernalia"
    )
    assert with_series_terms(context, series, none, {"Winterfell"}) == context
    said = CastCorrection("Winterfell", "rendering", "Fría", "es")
    word = peoples_word(add_corrections(EMPTY, [said], "me"))
    assert with_series_terms(context, series, word, ()).glossary[0].translations["es"] == "Fría"
