"""Replay searches as the service runs them, on embedded chips with many random galleries.

A search queries with one chip a gallery of G random vessels, which contains the query's own vessel
with probability one half. In half of the galleries the other vessels are as long as the query's
own, as in an anchorage of bulk carriers: such look-alikes, not random ships, are what is taken for
it. The rules are the service's: a vessel counts with its most similar sighting, and the
`RERANKED_VESSELS` most similar vessels are weighed.

Shapes: Q query chips, V vessels, S searches, M weighed candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from model_training.embedding.chip_table import ChipTable
from service.contract.calibration import MAX_SIMILARITY
from service.contract.chip import Modality
from service.contract.framing.half_turn import better_way
from service.contract.hoss_names import DISTRACTOR_ID
from service.contract.weighing.specs import CalibrationSpec, EvidenceName

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

EVIDENCE: tuple[EvidenceName, ...] = get_args(EvidenceName)
RERANKED_VESSELS = 50
ENROLLED_SHARE = 0.5
LOOK_ALIKE_SHARE = 0.5
LOOK_ALIKE_TOLERANCE = 0.10
"""Largest relative difference in length of the ships that fill a gallery of look-alikes."""
MAX_QUERIES = 2000
_NEVER = -np.inf  # similarity to what must not be found

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Sensors = NDArray[np.str_]
Rows = TypeVar("Rows", bound="DataclassInstance")


@dataclass(frozen=True, slots=True)
class CoarseQueries:
    """Chips of a table as queries of a coarse GSD; row i is chip i of the table.

    Attributes:
        vectors: float32 `[N, D]`, unit rows; NaN in the rows that are no queries.
        half_turned: float32 `[N, D]`, of the same chips turned by 180 degrees.
        size_m: float64 `[N, 2]`, length and width in metres.
    """

    gsd_m: float
    vectors: NDArray[np.float32]
    half_turned: NDArray[np.float32]
    size_m: Floats

    @property
    def rows(self) -> Ints:
        """Return int64 `[Q]`: the rows that are queries."""
        return np.flatnonzero(np.isfinite(self.vectors).all(axis=1))


@dataclass(frozen=True, slots=True)
class VesselScores:
    """Every query compared with every vessel of the table, before a gallery is drawn.

    Attributes:
        query_ids: int64 `[Q]`, the queries' vessels.
        own: int64 `[Q]`, the column of the query's own vessel, -1 if it has no other chip.
        similarity: float64 `[Q, V]`, of the vessel's most similar chip; -inf if it has none.
        length_log_ratio: float64 `[Q, V]`, |ln| of query length over that chip's length.
        width_log_ratio: float64 `[Q, V]`, |ln| of query width over that chip's width.
    """

    query_sensor: Modality
    gallery_sensor: Modality
    query_ids: Ints
    own: Ints
    similarity: Floats
    length_log_ratio: Floats
    width_log_ratio: Floats


@dataclass(frozen=True, slots=True)
class Searches:
    """S searches and their candidates, most similar first; row i of every array is one search.

    Attributes:
        query_sensor: str `[S]`, the sensor of the query.
        gallery_sensor: str `[S]`, the sensor of the gallery.
        query_ids: int64 `[S]`.
        gallery_vessels: int64 `[S]`, G.
        enrolled: bool `[S]`, whether the query's vessel is in the gallery.
        evidence: float64 `[S, M, 4]`, in the order of `EVIDENCE`; M = `RERANKED_VESSELS`.
        present: bool `[S, M]`, false where the gallery has fewer than M vessels.
        correct: bool `[S, M]`, whether the candidate is the query's vessel.
    """

    query_sensor: Sensors
    gallery_sensor: Sensors
    query_ids: Ints
    gallery_vessels: Ints
    enrolled: Bools
    evidence: Floats
    present: Bools
    correct: Bools

    def of_size(self, gallery_vessels: int) -> "Searches":
        """Return the searches in galleries of one size."""
        return self.where(self.gallery_vessels == gallery_vessels)

    def where(self, mask: Bools) -> "Searches":
        """Return the searches whose entry in `mask`, bool `[S]`, is true."""
        return Searches(**{part.name: getattr(self, part.name)[mask] for part in fields(self)})


def join_rows(parts: Sequence[Rows]) -> Rows:
    """Join dataclasses of arrays, each of which has a row for each search, pair or answer."""
    joined = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(parts[0])
    }
    return replace(parts[0], **joined)


def score_vessels(
    table: ChipTable,
    query_sensor: Modality,
    gallery_sensor: Modality,
    seed: int = 0,
    *,
    preference: float = np.inf,
    coarse: CoarseQueries | None = None,
) -> VesselScores:
    """Compare labelled chips of one sensor with each vessel's chips of another, or the same.

    A distractor counts as a vessel of its own and is never a query. A chip is never compared with
    itself. If there are more than `MAX_QUERIES` query chips, a random subset is used.

    Args:
        preference: what a query's half turn loses in similarity; chips whose half turn is not
            embedded are no queries then. Infinite: queries are compared as they are.
        coarse: the queries; None: the chips of the table as they are.

    Raises:
        ValueError: one of the two sensors has no chips.
    """
    ids = table.vessel_ids
    query = table.rows_with(query_sensor)
    query = query[ids[query] != DISTRACTOR_ID]
    if coarse is not None:
        query = np.intersect1d(query, coarse.rows)
    elif np.isfinite(preference):
        query = np.intersect1d(query, table.rows_with_half_turn)
    query = np.random.default_rng(seed).permutation(query)[:MAX_QUERIES]
    gallery = table.rows_with(gallery_sensor)
    if not query.size or not gallery.size:
        raise ValueError(
            f"no {query_sensor.value} chips as queries or no {gallery_sensor.value} chips to search"
        )
    served = table.embeddings.served
    asked, half_turned, asked_size_m = (
        (served, table.half_turned, table.size_m)
        if coarse is None
        else (coarse.vectors, coarse.half_turned, coarse.size_m)
    )
    known = served[gallery].astype(np.float64)
    similarity = asked[query].astype(np.float64) @ known.T  # [Q, gallery chips]
    if np.isfinite(preference) and half_turned is not None:
        turned = half_turned[query].astype(np.float64) @ known.T
        similarity = better_way(similarity, turned, 0.0, preference).similarity
    similarity[query[:, None] == gallery[None, :]] = _NEVER

    distractor = ids[gallery] == DISTRACTOR_ID
    names = np.where(distractor, -1 - np.arange(gallery.size), ids[gallery])
    vessels = np.unique(names)
    best = np.empty((query.size, vessels.size), np.int64)  # each vessel's most similar chip
    for column, vessel in enumerate(vessels):
        members = np.flatnonzero(names == vessel)
        best[:, column] = members[similarity[:, members].argmax(axis=1)]
    rows = np.arange(query.size)
    top = similarity[rows[:, None], best]  # [Q, V]
    log_query, log_known = np.log(asked_size_m[query]), np.log(table.size_m[gallery])
    ratio = np.abs(log_query[:, None, :] - log_known[best])  # [Q, V, 2]
    column_of = {int(vessel): column for column, vessel in enumerate(vessels)}
    own = np.array([column_of.get(int(identity), -1) for identity in ids[query]], np.int64)
    own[(own >= 0) & ~np.isfinite(top[rows, own])] = -1
    return VesselScores(
        query_sensor, gallery_sensor, ids[query], own, top, ratio[..., 0], ratio[..., 1]
    )


def tight_preference(spec: CalibrationSpec) -> float:
    """Return the `preference` of `score_vessels` with which the service compares tight chips."""
    return np.inf if spec.bow_preference is None else spec.bow_preference


def possible_sizes(scores: VesselScores, sizes: Sequence[int]) -> list[int]:
    """Return, ascending, the gallery sizes that the vessels without the query's own can fill."""
    others = scores.similarity.shape[1] - 1
    return [size for size in sorted(sizes) if 1 <= size <= others]


def run_searches(
    scores: VesselScores, gallery_sizes: Sequence[int], per_size: int, seed: int
) -> Searches:
    """Run `per_size` searches at each gallery size, each with a fresh gallery.

    Queries take turns. A query whose vessel has no other chip is searched as not enrolled.

    Args:
        scores: see `score_vessels`.
        gallery_sizes: numbers of vessels G, see `possible_sizes`.

    Raises:
        ValueError: no gallery size is given or one is too large.
    """
    if not gallery_sizes or list(gallery_sizes) != possible_sizes(scores, gallery_sizes):
        raise ValueError(
            f"gallery sizes {list(gallery_sizes)} must ascend within 1.."
            f"{scores.similarity.shape[1] - 1}, the number of vessels without the query's own"
        )
    rng = np.random.default_rng(seed)
    queries = scores.query_ids.size
    plan = [(i % queries, size) for size in gallery_sizes for i in range(per_size)]
    strangers = [_strangers(scores, row) for row in range(queries)]
    galleries = [_draw_gallery(scores.own[row], strangers[row], size, rng) for row, size in plan]
    sizes = np.array([size for _, size in plan], np.int64)
    return _search(scores, [row for row, _ in plan], galleries, sizes)


def ask_with_and_without(scores: VesselScores) -> Searches:
    """Search every other vessel of the table with each query: with its own vessel, and without.

    A query whose vessel has no other chip is asked once, without.
    """
    rows, galleries = [], []
    for row, own in enumerate(scores.own):
        found = np.flatnonzero(np.isfinite(scores.similarity[row]))
        galleries.append(found[found != own])
        rows.append(row)
        if own >= 0:
            galleries.append(found)
            rows.append(row)
    return _search(scores, rows, galleries, np.array([g.size for g in galleries], np.int64))


def _search(
    scores: VesselScores, rows: Sequence[int], galleries: Sequence[Ints], sizes: Ints
) -> Searches:
    """Search a gallery, the columns of its vessels, with each query row; `sizes` are G, `[S]`."""
    present = np.zeros((len(rows), RERANKED_VESSELS), np.bool_)
    columns = np.zeros((len(rows), RERANKED_VESSELS), np.int64)
    enrolled = np.zeros(len(rows), np.bool_)
    for i, (row, gallery) in enumerate(zip(rows, galleries, strict=True)):
        enrolled[i] = (gallery == scores.own[row]).any()
        best = gallery[np.argsort(-scores.similarity[row, gallery], kind="stable")]
        best = best[:RERANKED_VESSELS]
        present[i, : best.size] = True
        columns[i, : best.size] = best
    of_search, _ = np.nonzero(present)
    asked = np.asarray(rows, np.int64)
    evidence = np.zeros((*present.shape, len(EVIDENCE)))
    evidence[present] = weigh(scores, asked[of_search], columns[present])
    correct = present & (columns == scores.own[asked, None])
    return Searches(
        query_sensor=np.full(len(rows), scores.query_sensor.value),
        gallery_sensor=np.full(len(rows), scores.gallery_sensor.value),
        query_ids=scores.query_ids[asked],
        gallery_vessels=sizes,
        enrolled=enrolled,
        evidence=evidence,
        present=present,
        correct=correct,
    )


@dataclass(frozen=True, slots=True)
class _Strangers:
    """The vessels of which a query shows none, as columns.

    Attributes:
        columns: all of them, ascending.
        by_length: all of them, the nearest in length first.
        alike: how many of `by_length` are look-alikes.
    """

    columns: Ints
    by_length: Ints
    alike: int


def _strangers(scores: VesselScores, row: int) -> _Strangers:
    known = np.isfinite(scores.similarity[row])
    if scores.own[row] >= 0:
        known[scores.own[row]] = False
    columns = np.flatnonzero(known)
    apart = scores.length_log_ratio[row, columns]
    by_length = columns[np.argsort(apart, kind="stable")]
    return _Strangers(columns, by_length, int((apart <= np.log1p(LOOK_ALIKE_TOLERANCE)).sum()))


def _draw_gallery(own: int, strangers: _Strangers, size: int, rng: np.random.Generator) -> Ints:
    """Return the columns of `size` vessels, the query's `own` among them half of the time.

    The others are random or, with probability `LOOK_ALIKE_SHARE`, drawn from the look-alikes, or
    from as many of the nearest in length as the gallery needs.
    """
    enrolled = bool(own >= 0 and rng.random() < ENROLLED_SHARE)
    others = strangers.columns
    if rng.random() < LOOK_ALIKE_SHARE:
        others = strangers.by_length[: max(strangers.alike, size)]
    drawn = rng.choice(others, size=min(size - enrolled, others.size), replace=False)
    return np.append(drawn, own) if enrolled else drawn


def weigh(scores: VesselScores, rows: Ints, columns: Ints) -> Floats:
    """Return the evidence float64 `[N, 4]` of queries `[N]`, or of one query, and vessels `[N]`."""
    similarity = scores.similarity[rows, columns]
    values: dict[EvidenceName, Floats] = {
        "similarity": similarity,
        "similarity_z": np.arctanh(np.clip(similarity, -MAX_SIMILARITY, MAX_SIMILARITY)),
        "length_log_ratio": scores.length_log_ratio[rows, columns],
        "width_log_ratio": scores.width_log_ratio[rows, columns],
    }
    return np.stack([values[name] for name in EVIDENCE], axis=1)
