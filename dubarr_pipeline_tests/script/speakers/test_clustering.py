from __future__ import annotations

import random
import tracemalloc

import numpy as np
import pytest

from dubarr_pipeline.script.model import ScriptLine, Turn
from dubarr_pipeline.script.speakers import grouping
from dubarr_pipeline.script.speakers.grouping import (
    ClusterOptions,
    VoicedPieces,
    centroids,
    cluster,
    distance_matrix,
    group_pieces,
    names_of,
    silhouette,
)
from dubarr_pipeline.spans import Span, intersect, merge, total


def clouds(groups: int, size: int, apart: float = 10.0) -> np.ndarray:
    """Points in ``groups`` clouds of spread 1, ``apart`` from each other, group by group."""
    chance = np.random.default_rng(7)
    centres = np.eye(groups, 8) * apart
    return np.concatenate([centre + chance.normal(size=(size, 8)) for centre in centres])


@pytest.mark.parametrize("groups", [2, 3, 5])
def test_clouds_apart_are_groups(groups: int) -> None:
    labels = cluster(clouds(groups, 12))
    assert len(set(labels)) == groups
    by_cloud = labels.reshape(groups, 12)
    assert all(len(set(row)) == 1 for row in by_cloud)


def test_one_cloud_is_one_group() -> None:
    assert set(cluster(clouds(1, 40))) == {0}


@pytest.mark.parametrize(("spread", "groups"), [(10.0, 1), (30.0, 2)])
def test_points_that_are_uncertain_are_believed_only_with_a_spread(
    spread: float, groups: int
) -> None:
    assert len(set(cluster(clouds(2, 12), spread=spread))) == groups


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_points_to_group(count: int) -> None:
    assert cluster(np.zeros((count, 3))).tolist() == list(range(count))


def test_distances_are_euclidean() -> None:
    points = clouds(2, 5)
    expected = np.linalg.norm(points[:, None] - points[None], axis=2)
    assert np.allclose(distance_matrix(points), expected, atol=1e-3)


def test_the_silhouette_is_that_of_its_definition() -> None:
    points = np.array([[0.0], [1.0], [10.0], [12.0], [30.0]])
    labels = np.array([0, 0, 1, 1, 2])
    # (b - a) / max(a, b) by hand; the point alone counts 0.
    by_hand = [(11 - 1) / 11, (10 - 1) / 10, (9.5 - 2) / 9.5, (11.5 - 2) / 11.5, 0]
    assert silhouette(distance_matrix(points), labels) == pytest.approx(np.mean(by_hand), abs=1e-5)
    assert silhouette(distance_matrix(points), np.zeros(5, np.int64)) == 0


def test_centroids_are_weighted_means() -> None:
    points, labels = np.array([[0.0], [2.0], [10.0]]), np.array([0, 0, 1])
    assert centroids(points, labels).tolist() == [[1.0], [10.0]]
    assert centroids(points, labels, np.array([3.0, 1.0, 5.0])).tolist() == [[0.5], [10.0]]


def test_no_more_groups_than_the_options_allow() -> None:
    labels = cluster(clouds(6, 10), ClusterOptions())
    assert len(set(labels)) == 6


@pytest.mark.parametrize("seed", range(20))
def test_a_name_belongs_to_the_voice_with_which_it_shares_most_time(seed: int) -> None:
    chance = random.Random(seed)

    def spans() -> list[Span]:
        starts = sorted(chance.sample(range(1000), 30))
        return [Span(start, start + chance.randint(1, 60)) for start in starts]

    turns = [Turn(span, f"SPEAKER_{chance.randrange(4):02d}") for span in spans()]
    pieces = [
        ScriptLine(i, span, "Words.", name=f"NAME {chance.choice('ABC')}")
        for i, span in enumerate(spans())
    ]
    shared = {
        (who, name): total(
            intersect(
                merge([turn.span for turn in turns if turn.speaker == who]),
                merge([piece.span for piece in pieces if piece.name == name]),
            )
        )
        for who in {turn.speaker for turn in turns}
        for name in {piece.name for piece in pieces}
    }
    found = names_of(turns, pieces)
    assert len(set(found.values())) == len(found)
    for who, name in found.items():
        whole = sum(common for (other, _), common in shared.items() if other == who)
        assert shared[who, name] >= 0.6 * whole


def test_thousands_of_named_speakers_take_no_cube_of_memory() -> None:
    count = 1500
    pieces = tuple(
        ScriptLine(i, Span(i * 10, i * 10 + 8), "Words.", name=f"PERSON {i}") for i in range(count)
    )
    points = np.random.default_rng(1).normal(size=(count, 30))
    frames = np.full(count, 100, np.int64)
    voiced = VoicedPieces(pieces, points, frames, np.full(count, 7.0))
    tracemalloc.start()
    groups, _ = group_pieces(voiced, ClusterOptions())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(set(groups)) == count
    # Some matrices of n squared; with the features of every pair it was 30 times one of them.
    assert peak < 8 * 8 * count**2


def _voiced(names: list[str | None]) -> VoicedPieces:
    count = len(names)
    pieces = tuple(
        ScriptLine(n, Span(n, n + 1), "Words.", name=name) for n, name in enumerate(names)
    )
    points = np.resize(clouds(2, 4), (count, 8))
    return VoicedPieces(pieces, points, np.full(count, 100, np.int64), np.full(count, 7.0))


@pytest.mark.parametrize(("unnamed", "formed"), [(0, []), (1, [9]), (41, [20])])
def test_groups_are_formed_only_where_a_name_is_missing_and_by_a_bounded_number(
    monkeypatch: pytest.MonkeyPatch, unnamed: int, formed: list[int]
) -> None:
    monkeypatch.setattr(grouping, "_MOST_FORMING", 20)
    asked: list[int] = []

    def divide(long: np.ndarray, _: ClusterOptions) -> np.ndarray:
        asked.append(int(long.sum()))
        return np.zeros(asked[-1], np.int64)

    voiced = _voiced([*["ANNA", "BRUNO"] * 4, *[None] * unnamed])
    groups, _ = group_pieces(voiced, ClusterOptions(), divide)
    assert asked == formed
    assert groups[:8].tolist() == [0, 1] * 4
    assert len(groups) == 8 + unnamed
