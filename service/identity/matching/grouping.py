"""Put open sightings that may show one ship into a group.

The write that stores an open sighting marks it, so that the marks are a durable queue. In the
background, each marked sighting is matched with those before it that are most similar to it, as a
query is with the vessels of a gallery: each group, and each sighting without one, counts as one
ship with its most similar sighting, and the probabilities of all of them and of "none" sum to 1. So
a group of many open sightings needs more evidence than one of a few. The sighting joins the most
probable group, or begins one with the most probable sighting, if that is more probable than not and
if the sighting rather shows the ship of each member than another one. Groups are never joined by
themselves, so that a chain of look-alikes does not become one ship. A sighting costs one search for
each sensor type and way round.

Two sightings are kept apart, whatever they look like, if an analyst said so, if they were asked
about as chips of one image, or if no ship could have sailed from one to the other. Chips that were
sent as chips of one ship are that.

Groups follow from the match records and the models, and are stored with the sightings of a bundle.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from service.contract.calibration import FITTED_PRIOR
from service.contract.candidate_probabilities import probabilities_from_log_odds
from service.contract.chip import Modality
from service.contract.errors import ChipError
from service.contract.weighing.specs import CalibrationSpec
from service.identity.context import Context, UseCase
from service.identity.errors import ConflictError, NotFoundError, StoreDamagedError
from service.identity.evidence.both_ways import half_turns_for
from service.identity.evidence.kinematics import check_kinematics
from service.identity.evidence.pairs import pair_log_odds, pair_probability, pair_similarity
from service.identity.leases import Leases, Task
from service.identity.ports.matches import MatchStore
from service.identity.records.match_records import MatchFilter, MatchRecord
from service.identity.records.sightings import EmbeddedSighting, GroupPlace, Sighting, SightingHit
from service.identity.uploads import UploadEmbedder

log = logging.getLogger("crossfix.open_sightings")

THRESHOLD = 0.5
"""The probability from which a sighting joins a group."""

BATCH = 32
SIMILAR = 20
"""How many open sightings a search returns."""

TRIED_GROUPS = 5
"""How many groups are tried, the most probable first, if something keeps the sighting apart."""

RECORDS_OF_ONE_SIGHTING = 500


@dataclass(frozen=True, slots=True)
class RecordedFacts:
    """What the match records say of an open sighting.

    Attributes:
        records: newest first, at least one.
        scenes: the images, by the ids of the questions, that it was asked about in.
        one_ship: the sightings that were sent as chips of the same ship.
        apart: the sightings that show another ship, as an analyst said.
    """

    records: tuple[MatchRecord, ...]
    scenes: frozenset[str]
    one_ship: frozenset[UUID]
    apart: frozenset[UUID]


def recorded_facts(matches: MatchStore, sighting_id: UUID) -> RecordedFacts | None:
    """Return what the match records say of a sighting; None if there are none."""
    where = MatchFilter(sighting_id=sighting_id)
    records = tuple(matches.page(where, RECORDS_OF_ONE_SIGHTING, None).matches)
    if not records:
        return None
    scenes = (one.options.get("scene_id") for one in records)
    return RecordedFacts(
        records,
        frozenset(str(one) for one in scenes if one is not None),
        frozenset(i for one in records for i in one.match.sighting_ids) - {sighting_id},
        frozenset(i for one in records for i in one.apart),
    )


@dataclass(frozen=True, slots=True)
class Resemblance:
    """An open sighting that another one resembles.

    Attributes:
        log_odds: ln of the odds that both show one ship against none of those that wait.
        is_likely: whether the pictures rather show one ship than two.
    """

    hit: SightingHit
    log_odds: float
    is_likely: bool

    @property
    def group_id(self) -> UUID:
        """The group of the sighting; the one that would begin with it if it has none."""
        place = self.hit.place
        return group_begun_by(self.hit.sighting) if place is None else place.group_id

    def begins(self, group_id: UUID) -> bool:
        """Return whether the sighting has no group, and this one would begin with it."""
        return self.hit.place is None and self.group_id == group_id


def group_begun_by(sighting: Sighting) -> UUID:
    """Return the id of the group that begins with a sighting: a later group has a greater id.

    It is a UUID of version 8 (RFC 9562, section 5.8): the milliseconds of the recording, then bits
    of the sighting's id.
    """
    milliseconds = int(sighting.recorded_at.timestamp() * 1000) & (1 << 48) - 1
    bits = milliseconds << 80 | sighting.id.int & (1 << 80) - 1
    version_and_variant = 0xF << 76 | 0b11 << 62
    return UUID(int=bits & ~version_and_variant | 0x8 << 76 | 0b10 << 62)


class Grouping(UseCase):
    """Puts open sightings into groups."""

    def __init__(
        self,
        context: Context,
        leases: Leases,
        uploads: UploadEmbedder,
        calibration: CalibrationSpec,
    ) -> None:
        super().__init__(context)
        self._leases = leases
        self._uploads = uploads
        self._calibration = calibration

    def run(self, stopped: Callable[[], bool] = lambda: False) -> int:
        """Compare some marked sightings with the open ones; put each into a group or none.

        Args:
            stopped: whether to end after the sighting at hand.

        Returns:
            how many were done.

        Raises:
            OverloadedError, StoreUnavailableError, StoreFullError: the rest stays marked.
        """
        marked = self._gallery.ungrouped(BATCH)
        if not marked:
            return 0
        marked.sort(key=lambda one: (one.sighting.recorded_at, one.sighting.id))
        waiting = self._gallery.open_count()
        done = 0
        try:
            with self._leases.for_task(Task.GROUPING) as lease:
                for one in marked:
                    if stopped():
                        break
                    lease.renew()
                    done += self._place(one, waiting)
        except ConflictError:
            return 0  # another replica does it
        return done

    def _place(self, one: EmbeddedSighting, waiting: int) -> bool:
        """Put a sighting into a group or none, unless an analyst decides about it right now."""
        sighting = one.sighting
        try:
            found = self._resembling(one, waiting)
            with self._write_lock, self._leases.for_judgement(sighting.id):
                self._gallery.place_in_group(self._places(sighting, found))
        except ConflictError:
            return False
        except (ChipError, NotFoundError, StoreDamagedError) as error:
            log.warning("sighting %s was put into no group: %s", sighting.id, error)
            self._gallery.place_in_group({sighting.id: None})
        return True

    def _resembling(self, one: EmbeddedSighting, waiting: int) -> dict[UUID, Resemblance]:
        """Return the open sightings that are most similar to one, of so many, by their ids."""
        found: dict[UUID, Resemblance] = {}
        back: EmbeddedSighting | None = None
        for modality in Modality:
            straight = self._others(one, modality)
            if not straight:
                continue
            back = back or self._half_turned(one)
            turned = None if back is None else self._others(back, modality)
            for hit, cosines in _both(straight, turned):
                pair = one.sighting, hit.sighting
                similarity, _ = pair_similarity(*pair, *cosines, self._calibration)
                log_odds = pair_log_odds(*pair, similarity, waiting - 1, self._calibration)
                likely = pair_probability(*pair, similarity, FITTED_PRIOR, self._calibration)
                if log_odds is not None and likely is not None:
                    found[hit.sighting.id] = Resemblance(hit, log_odds, likely >= FITTED_PRIOR)
        return found

    def _others(self, one: EmbeddedSighting, modality: Modality) -> list[SightingHit]:
        hits = self._gallery.search_open(one.vector, modality, SIMILAR, compared=True)
        return [hit for hit in hits if hit.sighting.id != one.sighting.id]

    def _half_turned(self, one: EmbeddedSighting) -> EmbeddedSighting | None:
        """Return a sighting with the embedding of its half turn; None if it is compared as it is.

        Raises:
            NotFoundError, ChipError: the embedding is not in the cache, and the chip is missing or
                cannot be used.
        """
        sighting = one.sighting
        if not half_turns_for(self._calibration).include(sighting.framing):
            return None
        read = partial(self._chips.get, sighting.chip_sha256)
        turned = self._uploads.embed_half_turn(sighting, read)
        return None if turned is None else EmbeddedSighting(sighting, turned)

    def _places(
        self, sighting: Sighting, found: Mapping[UUID, Resemblance]
    ) -> dict[UUID, GroupPlace | None]:
        """Return the places of a sighting, of the chips that were sent with it as one ship, and of
        the sighting that it begins a group with.
        """
        known = _Known(self._matches)
        if known.facts(sighting.id) is None:
            return {sighting.id: None}
        ship = [sighting, *self._sent_with(sighting, known)]
        own = {one.id for one in ship}
        others = [one for i, one in found.items() if i not in own]
        place = self._most_probable(ship, others, known)
        if place is not None:
            begun = [one.hit.sighting.id for one in others if one.begins(place.group_id)]
            return dict.fromkeys([*own, *begun], place)
        if len(ship) > 1:
            return dict.fromkeys(own, GroupPlace(group_begun_by(sighting), None))
        return {sighting.id: None}

    def _most_probable(
        self, ship: Sequence[Sighting], others: Sequence[Resemblance], known: "_Known"
    ) -> GroupPlace | None:
        """Return the place of a ship's chips in the most probable group; None if it has none."""
        likely = {one.hit.sighting.id for one in others if one.is_likely}
        log_odds: dict[UUID, float] = {}
        for one in others:
            log_odds[one.group_id] = max(one.log_odds, log_odds.get(one.group_id, -math.inf))
        tried = sorted(log_odds, key=lambda one: (-log_odds[one], one))[:TRIED_GROUPS]
        others_odds = [value for i, value in log_odds.items() if i not in tried]
        if not tried or _share(log_odds[tried[0]], others_odds) < THRESHOLD:
            return None  # even if all others that are tried were kept apart
        chosen: UUID | None = None
        for group_id in tried:
            members = [one.sighting for one in self._gallery.members_of([group_id])]
            members += [one.hit.sighting for one in others if one.begins(group_id)]
            members = [one for one in members if one not in ship]
            if any(known.apart(a, b) for a in ship for b in members):
                del log_odds[group_id]
            elif chosen is None:
                chosen = group_id
                if not members or any(one.id not in likely for one in members):
                    return None
        if chosen is None:
            return None
        share = _share(log_odds.pop(chosen), [*log_odds.values()])
        return GroupPlace(chosen, share) if share >= THRESHOLD else None

    def _sent_with(self, sighting: Sighting, known: "_Known") -> list[Sighting]:
        """Return the open sightings that were sent as chips of the same ship."""
        facts = known.facts(sighting.id)
        sent = [] if facts is None else [self._gallery.get_sighting(i) for i in facts.one_ship]
        return [
            one
            for one in sent
            if one is not None and one.vessel_id is None and not known.said_apart(sighting, one)
        ]


class _Known:
    """What keeps two sightings apart; reads the records of each sighting once."""

    def __init__(self, matches: MatchStore) -> None:
        self._matches = matches
        self._facts: dict[UUID, RecordedFacts | None] = {}

    def facts(self, sighting_id: UUID) -> RecordedFacts | None:
        if sighting_id not in self._facts:
            self._facts[sighting_id] = recorded_facts(self._matches, sighting_id)
        return self._facts[sighting_id]

    def said_apart(self, a: Sighting, b: Sighting) -> bool:
        """Return whether an analyst said that two sightings show different ships."""
        first, second = self.facts(a.id), self.facts(b.id)
        return bool((first and b.id in first.apart) or (second and a.id in second.apart))

    def apart(self, a: Sighting, b: Sighting) -> bool:
        """Return whether two sightings are known to show different ships."""
        first, second = self.facts(a.id), self.facts(b.id)
        if first and second and first.scenes & second.scenes:
            return True
        voyage = check_kinematics(a.fix, b.fix)
        return self.said_apart(a, b) or (voyage is not None and not voyage.feasible)


def _share(log_odds: float, others: Sequence[float]) -> float:
    """Return the probability of a group, given the log odds of all others against none."""
    return probabilities_from_log_odds([log_odds, *others]).candidates[0]


def _both(
    straight: Sequence[SightingHit], back: Sequence[SightingHit] | None
) -> list[tuple[SightingHit, tuple[float, float | None]]]:
    """Return the hits of both ways round with their cosines.

    A sighting that a search left out is at most as similar as the last that it returned.
    """
    if back is None:
        return [(hit, (hit.similarity, None)) for hit in straight]
    hits = {hit.sighting.id: hit for hit in (*straight, *back)}
    ways = [
        ({hit.sighting.id: hit.similarity for hit in side}, side[-1].similarity if side else -1.0)
        for side in (straight, back)
    ]
    return [
        (hit, (ways[0][0].get(i, ways[0][1]), ways[1][0].get(i, ways[1][1])))
        for i, hit in hits.items()
    ]
