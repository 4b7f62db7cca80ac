"""Find the registered vessel that a chip shows."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import partial

from pydantic import Field

from service.access.caller import current_caller
from service.contract.chip import Modality
from service.contract.weighing.specs import CalibrationSpec
from service.identity.context import Context, UseCase
from service.identity.evidence.both_ways import BothWays, half_turns_for
from service.identity.evidence.checks import Limits, ship_size_m, type_warnings
from service.identity.evidence.copies import Copies
from service.identity.evidence.decision import (
    Scored,
    best_of_each_vessel,
    explained,
    judge,
    rank,
    score,
    weights_for,
)
from service.identity.evidence.several_chips import join, require_different
from service.identity.evidence.wording import Ranking, nothing_compared
from service.identity.matching.recording import WARNINGS, EarlyChip, MatchRecorder, Unstored
from service.identity.original_chips import delete_unused_when_full
from service.identity.ports.outbox import AnsweredMatch
from service.identity.records.base import Line, Record, Text
from service.identity.records.match_records import (
    AnsweringModel,
    Finding,
    MatchRecord,
    new_match_id,
)
from service.identity.records.matches import Explanation, Match, SceneShare, Verdict
from service.identity.records.sightings import (
    EmbeddedSighting,
    GalleryCounts,
    Sighting,
    SightingFilter,
)
from service.identity.records.vessels import VesselFilter
from service.identity.stage_timing import timed
from service.identity.uploads import ChipUpload, HalfTurns, UploadEmbedder, sum_of_timings

RERANKED_VESSELS = 50
CHECKED_AT_ONCE = 200  # sightings, so that other requests do not wait long
SEVERAL = "All {} chips were compared as one, by the mean of their embeddings."
NO_VOYAGE = "max_speed_kn had no effect: a voyage is checked if captured_at, lat and lon are known"


class MatchOptions(Record):
    """The options of a match request."""

    top_k: int = Field(5, ge=1, le=100, description="how many vessels to rank")
    max_speed_kn: float | None = Field(
        None, gt=0, le=100, description="vessels that would need more come last; default 30"
    )
    vessel_type: Line | None = Field(None, description="only vessels of this registered type")
    looks_like: Text | None = Field(
        None,
        description="the vessel type that you see: counts as evidence, leaves no vessel out",
        examples=["tanker"],
    )
    length_tolerance: float | None = Field(
        None, gt=0, lt=1, description="only vessels whose registered length fits, e.g. 0.2"
    )
    store: bool = Field(
        True,
        description="store the chip as a sighting without a vessel, and the match; with false, "
        "the match can be neither looked up nor judged later",
    )

    @property
    def narrows(self) -> bool:
        """Whether the options restrict the search to a part of the gallery."""
        return self.vessel_type is not None or self.length_tolerance is not None

    def limits(self) -> Limits:
        """Return the limits, with defaults for options that were not sent."""
        limits = {one.name for one in fields(Limits)}
        return Limits(**self.model_dump(include=limits, exclude_none=True))


@dataclass(frozen=True, slots=True)
class MatchResult:
    """A match and how it was found.

    Attributes:
        first_similarities: cosine of the most probable vessel, by the sensor type of its sighting;
            empty when only a part of the gallery was searched, or both ways round.
        unstored: what became of a match that was to be stored and could not; None otherwise.
    """

    match: Match
    timings_ms: dict[str, float]
    first_similarities: dict[Modality, float]
    unstored: Unstored | None = None


@dataclass(frozen=True, slots=True)
class RankedQuery:
    """A chip with the vessels that it may show, before the verdict.

    Attributes:
        queries: the chips of the ship with their bytes, at least one.
        compared: the sighting that was compared: the chip, or what several were joined to.
        calibration: as this query is compared, both ways round or as it is.
        why_none_compared: which options left no vessel to compare with; None if they did not.
        seconds: spent so far.
        first_similarities: see `MatchResult`.
    """

    uploads: Sequence[ChipUpload]
    options: MatchOptions
    asked_at: datetime
    queries: Sequence[EmbeddedSighting]
    compared: Sighting
    counts: GalleryCounts
    calibration: CalibrationSpec
    ranking: Ranking
    warnings: tuple[str, ...]
    why_none_compared: str | None
    timings_ms: dict[str, float]
    seconds: float
    first_similarities: dict[Modality, float]


@dataclass(frozen=True, slots=True)
class JudgedRanking:
    """A ranking with its verdict and explanation."""

    ranking: Ranking
    verdict: Verdict
    explanation: Explanation


class Matcher(UseCase):
    """The use case behind `POST /match`."""

    def __init__(
        self,
        context: Context,
        uploads: UploadEmbedder,
        model: AnsweringModel,
        calibration: CalibrationSpec,
        allow_confident: bool,
    ) -> None:
        """The stages `search` and `store` (chip, sighting and match record) are measured."""
        super().__init__(context)
        self._recorder = MatchRecorder(context, uploads)
        self._uploads = uploads
        self._model = model
        self._calibration = calibration
        self._half_turns = half_turns_for(calibration)
        self._allow_confident = allow_confident

    def match(
        self, upload: ChipUpload, options: MatchOptions, more: Sequence[ChipUpload] = ()
    ) -> MatchResult:
        """Rank the vessels that the chip may show; write the audit entry before returning.

        Args:
            more: other chips of the same ship, see `several_chips.join`.

        Raises:
            ChipError: the bytes cannot be used.
            InvalidRequestError: several chips do not fit together.
            OverloadedError: too many chips are waiting.
            StoreDamagedError: a vessel would be ranked by a record that is not what was written.
            StoreUnavailableError, StoreFullError: the gallery or the audit log failed; nothing was
                acknowledged. If only the storing of the match fails, it is answered.
        """
        early = EarlyChip(self._chips, upload.data)
        alone = options.store and not more
        with delete_unused_when_full(self._gallery, self._chips, [upload.digest]):
            asked = self.ask(upload, options, more=more, meanwhile=early.store if alone else None)
            self.require_intact([asked.ranking], options)
            return self.answer(asked, self.judge(asked, asked.ranking), early=early)

    def ask_again(
        self,
        upload: ChipUpload,
        sighting: Sighting,
        options: MatchOptions,
        found_by: Finding,
        is_news: Callable[[JudgedRanking], bool],
    ) -> MatchResult | None:
        """Match a stored open sighting anew; record the answer if it is news.

        Args:
            options: of the match by which the sighting was stored.
            found_by: the vessel, and the chip that it got since.
            is_news: decides whether the answer is worth recording; without it, None is returned.

        Raises: see `match`.
        """
        asked = self.ask(upload, options, sighting)
        judgement = self.judge(asked, asked.ranking)
        if not is_news(judgement):
            return None
        self.require_intact([asked.ranking], options)
        return self.answer(asked, judgement, found_by=found_by)

    def ask(
        self,
        upload: ChipUpload,
        options: MatchOptions,
        stored: Sighting | None = None,
        more: Sequence[ChipUpload] = (),
        meanwhile: Callable[[], None] | None = None,
    ) -> RankedQuery:
        """Rank the vessels that the chip may show, without a verdict; nothing is stored.

        `stored` is the sighting of a chip sent before. `meanwhile` is called while the models work.

        Sightings of the same and of the other sensor type are searched separately, because their
        similarities cannot be compared. Copies of the chip itself are left out. A vessel is ranked
        by the search in which its log odds are higher; the probabilities of all vessels found and
        of "none" sum to 1.
        """
        began, asked_at = time.perf_counter(), self._now()
        uploads = (upload, *more)
        require_different([one.digest for one in uploads])
        half_turns = HalfTurns.OPEN if more else self._half_turns
        embed_all = partial(self._uploads.embedder.embed_all, meanwhile=meanwhile)
        embedded = [self._uploads.embed(one, half_turns, embed_all) for one in uploads]
        queries = [
            self._uploads.sighting(one, vessel_id=None)
            if stored is None
            else EmbeddedSighting(stored, one.vector)
            for one in embedded
        ]
        query, half_turned = join(queries, [one.half_turned for one in embedded])
        timings = sum_of_timings(embedded)
        with timed("search", timings):
            counts = self._gallery.counts()
            copies = Copies()
            if more:
                own = self._filter(query.sighting, query.sighting.modality, options)
                copies.search_each(self._gallery, [(one, own) for one in queries], RERANKED_VESSELS)
            ways = BothWays(query, half_turned, self._calibration)
            found, calibration = self._search(ways, options, counts.vessels, copies, bool(more))
            scored = best_of_each_vessel(found)
            ranking = rank(query.sighting, scored, options.limits(), calibration.context)
            warnings = copies.warnings("it is no evidence for itself")
            warnings += type_warnings(options.looks_like, [c.vessel for c in ranking.candidates])
            if options.max_speed_kn is not None and not query.sighting.fix.is_known:
                warnings += (NO_VOYAGE,)
            reasons = () if ranking.candidates else self._why_none_compared(options)
        self._measure({"search": timings["search"]})
        as_calibrated = calibration is self._calibration and not options.narrows and not more
        return RankedQuery(
            uploads=uploads,
            options=options,
            asked_at=asked_at,
            queries=queries,
            compared=query.sighting,
            counts=counts,
            calibration=calibration,
            ranking=ranking,
            warnings=warnings + reasons,
            why_none_compared=reasons[0] if reasons else None,
            timings_ms=timings,
            seconds=time.perf_counter() - began,
            first_similarities=_first_similarities(found) if as_calibrated else {},
        )

    def judge(self, asked: RankedQuery, ranking: Ranking) -> JudgedRanking:
        """Return the verdict on a ranking of the vessels, alone or of chips asked together."""
        verdict, explanation = judge(
            ranking,
            asked.calibration,
            asked.counts.vessels,
            self._allow_confident,
            [defect for query in asked.queries for defect in query.sighting.defects],
        )
        if asked.why_none_compared is not None:
            explanation = nothing_compared(asked.why_none_compared)
        elif len(asked.queries) > 1 and explanation.compared:
            text = f"{explanation.text} {SEVERAL.format(len(asked.queries))}"
            explanation = explanation.model_copy(update={"text": text})
        return JudgedRanking(ranking, verdict, explanation)

    def require_intact(self, rankings: Sequence[Ranking], options: MatchOptions) -> None:
        """Raise StoreDamagedError if an answer would show a sighting that is damaged."""
        found = (one for ranking in rankings for one in ranking.candidates[: options.top_k])
        shown = list(dict.fromkeys(one.hit.sightings[0].id for one in found))
        for start in range(0, len(shown), CHECKED_AT_ONCE):
            self._gallery.require_intact(shown[start : start + CHECKED_AT_ONCE])

    def answer(
        self,
        asked: RankedQuery,
        judgement: JudgedRanking,
        scene: SceneShare | None = None,
        found_by: Finding | None = None,
        early: EarlyChip | None = None,
    ) -> MatchResult:
        """Write the audit entry, and store the chip and the match, after `require_intact`.

        With `found_by`, the service asked by itself about a chip that is stored.
        """
        began, options, ranking = time.perf_counter(), asked.options, judgement.ranking
        shown = explained(
            ranking.candidates[: options.top_k], asked.compared, options.limits(), asked.calibration
        )
        match = Match(
            id=new_match_id(asked.asked_at),
            verdict=judgement.verdict,
            candidates=shown,
            none_probability=ranking.none_probability,
            explanation=judgement.explanation,
            scene=scene,
            query=asked.queries[0].sighting.with_warnings(asked.warnings),
            more_queries=tuple(one.sighting for one in asked.queries[1:]),
            gallery=asked.counts,
            stored=options.store,
        )
        sent = options.model_dump(mode="json", exclude_none=True)
        if scene is not None:
            sent["scene_id"] = str(scene.scene_id)
        audit = self._trail.record_match(match, sent)
        unstored = None
        if options.store:
            record = MatchRecord(
                match=match,
                asked_at=asked.asked_at,
                asked_by=current_caller().name,
                options=sent,
                model=self._model,
                audit=audit,
                found_by=found_by,
                unannounced=found_by is not None and self._announces,
            )
            if found_by is not None:
                self._matches.put(record)
            else:
                files = [one.data for one in asked.uploads]
                chips = list(zip(files, asked.queries, strict=True))
                unstored = self._recorder.record(AnsweredMatch(chips, record), early)
        if unstored is not None:
            query = match.query.with_warnings((WARNINGS[unstored],))
            match = match.model_copy(update={"stored": False, "query": query})
        seconds = asked.seconds + time.perf_counter() - began
        timings = asked.timings_ms | {"total": seconds * 1000.0}
        return MatchResult(match, timings, asked.first_similarities, unstored)

    def _search(
        self, ways: BothWays, options: MatchOptions, vessels: int, copies: Copies, several: bool
    ) -> tuple[dict[Modality, list[Scored]], CalibrationSpec]:
        """Return the vessels found, best first, by the sensor type of their sightings.

        Also return the calibration of such searches.
        """
        query = ways.query.sighting
        sought = [m for m in Modality if weights_for(self._calibration, query, m) is not None]
        filters = [
            self._filter(query, modality, options).model_copy(
                update={"other_chips": tuple(sorted(copies.chips))}
            )
            for modality in sought
        ]
        hits = ways.search_each(self._gallery, copies, filters, RERANKED_VESSELS)
        calibration = self._calibration.for_query(
            both_ways=ways.bows_are_open(hits), gsd_m=query.gsd_m, several=several
        )
        scored = {}
        for modality, found in zip(sought, hits, strict=True):
            weights = weights_for(calibration, query, modality)
            if weights is not None:
                scored[modality] = score(query, found, weights, vessels)
        return scored, calibration

    def _why_none_compared(self, options: MatchOptions) -> tuple[str, ...]:
        """Return a warning that names the options which left no vessel; none without options."""
        kind = options.vessel_type
        of_type = VesselFilter(type=kind)
        if kind is not None and not self._gallery.list_vessels(of_type, 1, None).vessels:
            return (f"vessel_type: no registered vessel is of the type {kind!r}",)
        narrowing = {"vessel_type": kind, "length_tolerance": options.length_tolerance}
        named = [f"{name}={value}" for name, value in narrowing.items() if value is not None]
        return (f"{' and '.join(named)} leave no vessel to compare with",) if named else ()

    def _filter(self, query: Sighting, modality: Modality, options: MatchOptions) -> SightingFilter:
        lengths = None
        if options.length_tolerance is not None:
            ratio = 1.0 - options.length_tolerance
            length, _ = ship_size_m(query)
            lengths = (length * ratio, length / ratio)
        types = None if options.vessel_type is None else (options.vessel_type,)
        return SightingFilter(modality=modality, vessel_types=types, vessel_length_m=lengths)


def _first_similarities(found: Mapping[Modality, Sequence[Scored]]) -> dict[Modality, float]:
    """Return the similarity of the most probable vessel of each sensor type."""
    return {modality: scored[0].hit.similarity for modality, scored in found.items() if scored}
