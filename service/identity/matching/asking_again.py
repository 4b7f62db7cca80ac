"""Match open sightings again when a vessel gets a chip.

Every write that gives a sighting its vessel (enrolment, confirmation, merge, split, restoration)
marks it as uncompared in the same write, so that the marks are a durable queue which costs the
writer nothing. In the background, the open sightings that are most similar to each marked sighting
are found with one search for each sensor type; those that may show its vessel are matched anew, and
an answer that names the vessel is recorded as new. A mark is removed when all that follows from it
is recorded, so a crash repeats work and loses none. A lease lets one replica at a time do this.

A sighting may be judged while it is matched anew, so that no analyst waits for this. If it is
confirmed meanwhile, the confirmation marks it, and the answer that was recorded too late is settled
with that mark.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

from service.contract.candidate_probabilities import contributions
from service.contract.chip import Modality
from service.contract.errors import ChipError
from service.contract.weighing.specs import CalibrationSpec
from service.identity.context import Context, UseCase
from service.identity.errors import ConflictError, NotFoundError, StoreDamagedError
from service.identity.evidence.decision import weights_for
from service.identity.evidence.pairs import evidence_of
from service.identity.leases import Leases, Task
from service.identity.matching.grouping import RECORDS_OF_ONE_SIGHTING
from service.identity.matching.match import JudgedRanking, Matcher, MatchOptions
from service.identity.records.base import RECORDED
from service.identity.records.match_records import Finding, MatchFilter, MatchRecord, Standing
from service.identity.records.matches import Verdict
from service.identity.records.sightings import EmbeddedSighting, Sighting, SightingHit
from service.identity.uploads import stored_upload

log = logging.getLogger("crossfix.open_sightings")

BATCH = 32
SIMILAR = 20
"""How many open sightings of each sensor type are looked at for each chip."""

MIN_LOG_ODDS = -4.0
"""The log odds against "none" from which a sighting is matched anew: a probability of 2 %. The
match itself weighs more evidence, and a framed query both ways round."""


class AskingAgain(UseCase):
    """Matches open sightings again, in the background."""

    def __init__(
        self, context: Context, leases: Leases, matcher: Matcher, calibration: CalibrationSpec
    ) -> None:
        super().__init__(context)
        self._leases = leases
        self._matcher = matcher
        self._calibration = calibration

    def ask_again(self, stopped: Callable[[], bool] = lambda: False) -> int:
        """Work on the sightings that got a vessel; return how many were done.

        Args:
            stopped: whether to end after the sighting at hand.

        Raises:
            OverloadedError, StoreUnavailableError, StoreFullError: the rest stays marked.
        """
        marked = self._gallery.uncompared(BATCH)
        if not marked:
            return 0
        done = 0
        try:
            with self._leases.for_task(Task.ASKING_AGAIN) as lease:
                for one in marked:
                    if stopped():
                        break
                    lease.renew()
                    self._compare(one)
                    self._gallery.mark_compared([one.sighting.id])
                    done += 1
        except ConflictError:
            return 0  # another replica does it
        return done

    def _compare(self, known: EmbeddedSighting) -> None:
        """Match the open sightings again that may show the vessel of a known sighting."""
        self._overtake(known.sighting.id)
        vessel_id = known.sighting.vessel_id
        if vessel_id is None or not self._is_visible(vessel_id):
            return
        finding = Finding(vessel_id=vessel_id, sighting_id=known.sighting.id)
        for modality in Modality:
            for hit in self._gallery.search_open(known.vector, modality, SIMILAR):
                if self._is_worth_asking(hit, known.sighting):
                    self._ask(hit.sighting.id, finding)

    def _is_visible(self, vessel_id: UUID) -> bool:
        """Return whether a vessel is shown; a damaged one, which no match ranks, is not."""
        try:
            found = self._gallery.get_vessels([vessel_id]).get(vessel_id)
        except StoreDamagedError as error:
            log.warning("no open sighting is matched with vessel %s: %s", vessel_id, error)
            return False
        return found is not None and found.state.visible

    def _is_worth_asking(self, hit: SightingHit, known: Sighting) -> bool:
        query = hit.sighting
        weights = weights_for(self._calibration, query, known.modality)
        if weights is None or query.chip_sha256 == known.chip_sha256:
            return False
        evidence = evidence_of(query, known, hit.similarity)
        (parts,) = contributions([evidence], weights, self._gallery.counts().vessels)
        return sum(parts.values()) >= MIN_LOG_ODDS

    def _ask(self, sighting_id: UUID, finding: Finding) -> None:
        """Match a sighting anew, unless it has a vessel or an analyst has decided already."""
        try:
            sighting = self._gallery.get_sighting(sighting_id)
            if sighting is None or sighting.vessel_id is not None:
                return
            records = self._records(MatchFilter(sighting_id=sighting_id))
            if not records or any(_answers(one, finding.vessel_id) for one in records):
                return
            upload = stored_upload(sighting, self._chips.get(sighting.chip_sha256))
            self._matcher.ask_again(
                upload,
                sighting,
                _options(records[-1]),
                finding,
                partial(_is_news, vessel_id=finding.vessel_id, records=records),
            )
        except (ChipError, NotFoundError, StoreDamagedError) as error:
            log.warning("sighting %s could not be matched anew: %s", sighting_id, error)

    def _overtake(self, sighting_id: UUID) -> None:
        """Settle the matches of a sighting that has a vessel now, and that nobody judged."""
        where = MatchFilter(sighting_id=sighting_id, standing=Standing.OPEN)
        if all(one.overtaken for one in self._records(where)):
            return
        with self._write_lock, self._leases.for_judgement(sighting_id):
            for record in self._records(where):
                if not record.unsettled:
                    self._matches.put(record.model_copy(update={"overtaken": True}))

    def _records(self, where: MatchFilter) -> list[MatchRecord]:
        return list(self._matches.page(where, RECORDS_OF_ONE_SIGHTING, None).matches)


def _options(record: MatchRecord) -> MatchOptions:
    """Return the options of a match; those of its scene do not apply to the chip alone."""
    known = MatchOptions.model_fields
    options = {name: value for name, value in record.options.items() if name in known}
    return MatchOptions.model_validate(options, context=RECORDED)


def _answers(record: MatchRecord, vessel_id: UUID) -> bool:
    """Return whether no answer on the vessel can be news after a match.

    That is so if it decided for the vessel, or if an analyst rejected it: that rules out all its
    candidates.
    """
    if record.standing is Standing.REJECTED:
        return any(one.vessel.id == vessel_id for one in record.match.candidates)
    decided = record.match.verdict in (Verdict.CONFIDENT, Verdict.LIKELY)
    return decided and record.match.candidates[0].vessel.id == vessel_id


def _is_news(judged: JudgedRanking, vessel_id: UUID, records: Sequence[MatchRecord]) -> bool:
    """Return whether an answer names a vessel that earlier ones did not name, or decides for it."""
    if judged.verdict in (Verdict.CONFIDENT, Verdict.LIKELY):
        return judged.ranking.candidates[0].vessel.id == vessel_id
    named = any(vessel_id in one.match.explanation.among for one in records)
    return vessel_id in judged.explanation.among and not named
