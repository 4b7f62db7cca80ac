"""Measure what asking about the chips of one image together gains over asking one by one.

A scene draws chips of different ships, at most one of each, and a gallery that holds each of these
ships with a probability, filled up with other vessels. Every chip is asked alone, as
`calibration.searches` replays it, and all together by the joint model of the service. In a large
gallery two chips seldom claim one vessel, so that there is little to gain; in an anchorage of
look-alikes that are searched for among themselves they often do.

Shapes: N chips of a scene, V vessels of the table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.calibration import searches
from model_training.calibration.reliability import Reliability, measure_reliability
from model_training.embedding.chip_table import ChipTable
from model_training.evaluation.metrics import Estimate, bootstrap_mean
from service.contract.chip import Modality
from service.contract.weighing.assignment import joint_probabilities
from service.contract.weighing.specs import ChoiceSpec

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Drawn = tuple[Ints, Ints, NDArray[np.bool_]]
"""The query rows `[N]`, the gallery's columns, and which ships are enrolled, bool `[N]`."""
BINS = 10


@dataclass(frozen=True, slots=True)
class Way:
    """How well chips are answered in one way, alone or together.

    Attributes:
        first: share of the chips whose ship is enrolled and whose first vessel is right, per cent.
        first_candidate: reliability of the first vessel's probability.
    """

    first: Estimate
    first_candidate: Reliability
    none: Reliability

    def document(self) -> dict[str, Any]:
        """Return the measurements as JSON values."""
        return {
            "R1": self.first.document(),
            "ece_first_candidate": self.first_candidate.ece.document(),
            "ece_none": self.none.ece.document(),
        }


@dataclass(frozen=True, slots=True)
class SceneReport:
    """Chips of scenes matched alone and together.

    Attributes:
        gallery: vessels that were searched, on average.
        ships: how many different ships were asked about.
        gain: of R1 in points; the interval is of paired differences.
    """

    scenes: int
    chips: int
    gallery: float
    ships: int
    alone: Way
    together: Way
    gain: Estimate

    def document(self) -> dict[str, Any]:
        """Return the measurements as JSON values."""
        return {
            "scenes": self.scenes,
            "chips": self.chips,
            "gallery_vessels": self.gallery,
            "ships": self.ships,
            "alone": self.alone.document(),
            "together": self.together.document(),
            "gain_R1": self.gain.document(),
        }


@dataclass(frozen=True, slots=True)
class _Answers:
    """Answers about chips: first vessel's probability, that of none, and what is right."""

    first: Floats
    none: Floats
    right: NDArray[np.bool_]


def measure_scenes(
    table: ChipTable,
    match: ChoiceSpec,
    scenes: int,
    chips: int,
    gallery: int,
    enrolled_share: float = 0.5,
    seed: int = 0,
    anchorages: Mapping[int, str] | None = None,
) -> SceneReport:
    """Draw SAR scenes, and answer their chips alone and together in an optical gallery.

    Args:
        chips: ships in each, at least two; fewer if the table has fewer.
        gallery: vessels to search; fewer if the table has fewer.
        enrolled_share: probability that the ship of a chip is enrolled, above 0 to 1.
        anchorages: types by vessel id, for scenes of `chips` ships of one type and about one length
            that are searched for among those of them that are enrolled and a third as many others
            like them; `gallery` has no effect. Ships that are not named are of one type. None:
            scenes of any ships in galleries of `gallery` vessels.

    Raises:
        ValueError: there are not two ships with chips of both sensors, or not enough look-alikes.
    """
    scores = searches.score_vessels(table, Modality.SAR, Modality.OPTICAL, seed)
    findable = np.unique(scores.query_ids[scores.own >= 0])
    if findable.size < 2:
        raise ValueError("scenes need at least two ships with chips of both sensors")
    rng = np.random.default_rng(seed)
    if anchorages is None:
        chips = min(chips, findable.size)
        gallery = min(gallery, scores.similarity.shape[1])
        drawn = [
            _draw(scores, findable, chips, gallery, enrolled_share, rng) for _ in range(scenes)
        ]
    else:
        drawn = _draw_anchorages(scores, anchorages, scenes, chips, enrolled_share, rng)
    ids, enrolled = [], []
    parts: dict[str, list[_Answers]] = {"alone": [], "together": []}
    for rows, columns, present in drawn:
        log_odds = _log_odds(scores, rows, columns, match)
        alone = np.concatenate([np.zeros((chips, 1)), log_odds], axis=1)
        alone = np.exp(alone - alone.max(axis=1, keepdims=True))
        alone /= alone.sum(axis=1, keepdims=True)
        own = columns[None, :] == scores.own[rows][:, None]
        parts["alone"].append(_answers(alone, own))
        parts["together"].append(_answers(joint_probabilities(log_odds, columns.size), own))
        ids.append(scores.query_ids[rows])
        enrolled.append(present)
    ships, known = np.concatenate(ids), np.concatenate(enrolled)
    joined = {name: searches.join_rows(answers) for name, answers in parts.items()}
    difference = joined["together"].right.astype(float) - joined["alone"].right
    return SceneReport(
        scenes=scenes,
        chips=chips,
        gallery=float(np.mean([columns.size for _, columns, _ in drawn])),
        ships=int(np.unique(ships).size),
        alone=_way(joined["alone"], ships, known, seed),
        together=_way(joined["together"], ships, known, seed),
        gain=bootstrap_mean(100.0 * difference[known], ships[known], 1000, seed),
    )


def _draw(
    scores: searches.VesselScores,
    findable: Ints,
    chips: int,
    gallery: int,
    enrolled_share: float,
    rng: np.random.Generator,
) -> Drawn:
    """Draw a scene of any ships.

    With probability `LOOK_ALIKE_SHARE` the ships and the other vessels of the gallery are those
    nearest in length to one of them: an anchorage of ships of one size.
    """
    rows_of = {s: np.flatnonzero((scores.query_ids == s) & (scores.own >= 0)) for s in findable}
    ships = rng.permutation(findable)
    alike = rng.random() < searches.LOOK_ALIKE_SHARE
    anchor = int(rng.choice(rows_of[ships[0]]))
    if alike:
        own_of = np.array([scores.own[rows_of[ship][0]] for ship in ships])
        ships = ships[np.argsort(scores.length_log_ratio[anchor, own_of], kind="stable")]
    ships = rng.permutation(ships[:chips])
    rows = np.array([rng.choice(rows_of[ship]) for ship in ships])
    own = scores.own[rows]
    others = np.setdiff1d(np.arange(scores.similarity.shape[1]), own)
    enrolled = rng.random(chips) < enrolled_share
    filling = min(max(gallery - int(enrolled.sum()), 1 - int(enrolled.any())), others.size)
    if alike:
        others = others[np.argsort(scores.length_log_ratio[anchor, others], kind="stable")]
        others = others[:filling]
    columns = np.concatenate([own[enrolled], rng.choice(others, filling, replace=False)])
    return rows, columns, enrolled


def _draw_anchorages(
    scores: searches.VesselScores,
    types: Mapping[int, str],
    scenes: int,
    chips: int,
    enrolled_share: float,
    rng: np.random.Generator,
) -> list[Drawn]:
    """Draw scenes of ships of the type of one of them, within a tolerance of its length."""
    rows = np.flatnonzero(scores.own >= 0)
    kinds = np.array([types.get(int(ship), "") for ship in scores.query_ids[rows]])
    others = -(-chips // 3)

    def alike(row: int) -> Ints:
        """Return one query row of each look-alike of a query's ship, in random order."""
        near = scores.length_log_ratio[row, scores.own[rows]] <= np.log1p(
            searches.LOOK_ALIKE_TOLERANCE
        )
        found = rng.permutation(rows[near & (kinds == types.get(int(scores.query_ids[row]), ""))])
        return rng.permutation(found[np.unique(scores.query_ids[found], return_index=True)[1]])

    centres = [int(row) for row in rows if alike(int(row)).size >= chips + others]
    if not centres:
        raise ValueError(
            f"no {chips + others} ships of one type lie within {searches.LOOK_ALIKE_TOLERANCE:.0%} "
            f"of one length, for scenes of {chips} and {others} others: draw scenes of fewer ships"
        )
    drawn = []
    for _ in range(scenes):
        ships = alike(int(rng.choice(centres)))
        enrolled = rng.random(chips) < enrolled_share
        own = scores.own[ships[: chips + others]]
        columns = np.concatenate([own[:chips][enrolled], own[chips:]])
        drawn.append((ships[:chips], columns, enrolled))
    return drawn


def _log_odds(
    scores: searches.VesselScores, rows: Ints, columns: Ints, match: ChoiceSpec
) -> Floats:
    """Return `[N, V]` log odds against none; -inf for all but the most similar vessels."""
    weights = np.array([match.weights.get(name, 0.0) for name in searches.EVIDENCE])
    none = match.none_bias + match.none_log_gallery * np.log(columns.size)
    log_odds = np.full((rows.size, columns.size), -np.inf)
    for i, row in enumerate(rows):
        similarity = scores.similarity[row, columns]
        best = np.argsort(-similarity, kind="stable")[: searches.RERANKED_VESSELS]
        best = best[np.isfinite(similarity[best])]
        score = searches.weigh(scores, np.array(row), columns[best]) @ weights
        log_odds[i, best] = score - none - match.none_log_sum * np.logaddexp.reduce(score)
    return log_odds


def _answers(probability: Floats, own: NDArray[np.bool_]) -> _Answers:
    first = probability[:, 1:].argmax(axis=1)
    rows = np.arange(len(first))
    return _Answers(probability[rows, 1 + first], probability[:, 0], own[rows, first])


def _way(answers: _Answers, ships: Ints, enrolled: NDArray[np.bool_], seed: int) -> Way:
    return Way(
        first=bootstrap_mean(
            100.0 * answers.right[enrolled].astype(float), ships[enrolled], 1000, seed
        ),
        first_candidate=measure_reliability(
            answers.first, answers.right, ships, bins=BINS, seed=seed
        ),
        none=measure_reliability(answers.none, ~enrolled, ships, bins=BINS, seed=seed),
    )
