"""Find the vessels that the chips of one image show, together: no vessel is there twice."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar
from uuid import UUID, uuid4

import numpy as np
from numpy.typing import NDArray

from service.contract.weighing.assignment import joint_probabilities
from service.identity.errors import InvalidRequestError
from service.identity.evidence.checks import can_have_sailed
from service.identity.evidence.kinematics import distance_nm
from service.identity.evidence.wording import RankedVessel, Ranking, percent, vessel_name
from service.identity.matching.match import (
    JudgedRanking,
    Matcher,
    MatchOptions,
    MatchResult,
    RankedQuery,
)
from service.identity.records.matches import SceneShare
from service.identity.records.sightings import Sighting
from service.identity.uploads import ChipUpload

T = TypeVar("T")
R = TypeVar("R")
ASKING_THREADS = 4
ANSWERING_THREADS = 32
"""So many matches are stored together in one write."""

MAX_GSD_RATIO, MAX_MINUTES_APART, MAX_NM_APART = 1.5, 10.0, 500.0
"""More between chips of one image is doubted; a wide swath of Sentinel-1 is 216 nm across."""
CHANGED = 0.1
"""A change of the first vessel's probability below this is not explained."""


class SceneMatcher:
    """The use case behind `POST /match/scene`."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher

    def match(self, uploads: Sequence[ChipUpload], options: MatchOptions) -> list[MatchResult]:
        """Rank the vessels of all chips together; return the answers in the order of the chips.

        Every chip is asked about alone first. Then one joint model, in which no vessel is shown by
        two chips and each chip may show none, gives each chip its probabilities. Matches are
        stored as `Matcher.match` stores them, after all chips were judged, several at a time. Each
        answer warns of facts by which the chips cannot be of one image.

        Raises:
            InvalidRequestError: a file was sent twice: one ship is in an image once.
            ChipError, OverloadedError, StoreDamagedError, StoreUnavailableError, StoreFullError:
                see `Matcher.match`; a chip that cannot be used refuses the whole request.
        """
        digests = [upload.digest for upload in uploads]
        if len(set(digests)) < len(digests):
            raise InvalidRequestError("a chip was sent twice; send each chip of the image once")
        asked = _each_at_once(
            lambda upload: self._matcher.ask(upload, options), uploads, ASKING_THREADS
        )
        doubts = _doubts_of_one_image([one.compared for one in asked])
        asked = [replace(one, warnings=(*doubts, *one.warnings)) for one in asked]
        scene_id = uuid4()
        rankings = joint_rankings([one.ranking for one in asked], asked[0].counts.vessels)
        self._matcher.require_intact(rankings, options)

        def answer(chip: int) -> MatchResult:
            one = asked[chip]
            alone = self._matcher.judge(one, one.ranking)
            together = self._matcher.judge(one, rankings[chip])
            share = _share(scene_id, one, alone, together, asked, rankings)
            return self._matcher.answer(one, together, share)

        return _each_at_once(answer, range(len(asked)), ANSWERING_THREADS)


def _each_at_once(work: Callable[[T], R], items: Iterable[T], threads: int) -> list[R]:
    """Call a function for each item in several threads; return the results in order."""
    with ThreadPoolExecutor(threads) as pool:
        tasks = [pool.submit(copy_context().run, work, item) for item in items]
        return [task.result() for task in tasks]


def _doubts_of_one_image(chips: Sequence[Sighting]) -> tuple[str, ...]:
    """Return a warning of facts by which the chips cannot be of one image."""
    found = []
    if len({one.modality for one in chips}) > 1:
        found.append("optical and SAR pictures")
    sizes = [one.gsd_m for one in chips]
    if max(sizes) > MAX_GSD_RATIO * min(sizes):
        found.append(f"pixels of {min(sizes):g} to {max(sizes):g} m")
    times = [(fix.first, fix.last) for fix in (c.fix for c in chips) if fix.first and fix.last]
    if times:
        apart = max(first for first, _ in times) - min(last for _, last in times)
        if apart / timedelta(minutes=1) > MAX_MINUTES_APART:
            found.append(f"times {apart / timedelta(hours=1):.1f} h apart")
    places = [one.position for one in chips if one.position is not None]
    farthest = max((distance_nm(places[0], one) for one in places), default=0.0)
    if farthest > MAX_NM_APART:
        found.append(f"places {farthest:.0f} nautical miles apart")
    if not found:
        return ()
    return (
        f"the chips have {', '.join(found)}, so they are not of one image, and may show one ship "
        "twice; ask about each image by itself",
    )


def joint_rankings(alone: Sequence[Ranking], gallery_vessels: int) -> list[Ranking]:
    """Return the rankings of chips of one image with their joint probabilities.

    A vessel that cannot have sailed to the image stays last.
    """
    columns: dict[UUID, int] = {}
    for ranking in alone:
        for candidate in ranking.candidates:
            columns.setdefault(candidate.vessel.id, len(columns))
    log_odds = np.full((len(alone), len(columns)), -np.inf)
    for row, ranking in enumerate(alone):
        for candidate in ranking.candidates:
            log_odds[row, columns[candidate.vessel.id]] = sum(candidate.evidence.values())
    joint = joint_probabilities(log_odds, gallery_vessels)
    return [_with_probabilities(ranking, joint[row], columns) for row, ranking in enumerate(alone)]


def _with_probabilities(
    ranking: Ranking, joint: NDArray[np.float64], columns: dict[UUID, int]
) -> Ranking:
    if not ranking.candidates:
        return ranking
    changed = [
        RankedVessel(one.hit, one.evidence, one.voyage, float(joint[1 + columns[one.vessel.id]]))
        for one in ranking.candidates
    ]
    changed.sort(key=lambda one: (not can_have_sailed(one.voyage), -one.probability))
    return Ranking(tuple(changed), float(joint[0]))


def _share(
    scene_id: UUID,
    asked: RankedQuery,
    alone: JudgedRanking,
    together: JudgedRanking,
    others: Sequence[RankedQuery],
    rankings: Sequence[Ranking],
) -> SceneShare:
    first = alone.ranking.candidates[0] if alone.ranking.candidates else None
    return SceneShare(
        scene_id=scene_id,
        chips=len(others),
        alone_verdict=alone.verdict,
        alone_vessel_id=None if first is None else first.vessel.id,
        alone_probability=None if first is None else first.probability,
        alone_none_probability=alone.ranking.none_probability,
        text=_difference(asked, alone.ranking, together.ranking, others, rankings),
    )


def _difference(
    asked: RankedQuery,
    alone: Ranking,
    together: Ranking,
    others: Sequence[RankedQuery],
    rankings: Sequence[Ranking],
) -> str:
    """Say how the joint answer differs from the chip's alone, and which chip is the reason."""
    if not alone.candidates:
        return "The other chips of the image change nothing: there was no vessel to compare with."
    before, after = alone.candidates[0], together.candidates[0]
    same = before.vessel.id == after.vessel.id
    if same and abs(after.probability - before.probability) < CHANGED:
        return "The other chips of the image change little: the answer is that of the chip alone."
    text = (
        f"Alone, {vessel_name(before)} would be first with {percent(before.probability)}; together "
        f"with the other chips of the image {vessel_name(after)} is, with "
        f"{percent(after.probability)}."
    )
    rivals = [
        (ranking.candidates[0], other)
        for other, ranking in zip(others, rankings, strict=True)
        if other is not asked and ranking.candidates
    ]
    taken = _taken(before if not same or after.probability < before.probability else None, rivals)
    if taken is None:
        taken = next((r for c in alone.candidates[1:] if (r := _taken(c, rivals))), None)
    return text if taken is None else f"{text} No vessel is in one image twice, and {taken}."


def _taken(
    candidate: RankedVessel | None, rivals: Sequence[tuple[RankedVessel, RankedQuery]]
) -> str | None:
    """Say which other chip more probably shows a candidate's vessel; None if no chip does."""
    if candidate is None:
        return None
    for first, other in rivals:
        if first.vessel.id == candidate.vessel.id and first.probability >= 0.5:
            upload = other.uploads[0]
            chip = upload.name or f"chip {upload.digest[:12]}"
            return f"{chip} shows {vessel_name(first)} with {percent(first.probability)}"
    return None
