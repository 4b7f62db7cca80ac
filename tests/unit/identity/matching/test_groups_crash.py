"""A registration of open sightings that a crash interrupts is done or undone."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from service.identity.enrol import NewVessel
from service.identity.matching.match import MatchOptions
from service.identity.records.match_records import MatchFilter, MatchRecord, Standing
from service.identity.records.vessels import Vessel
from service.storage.local.claims import MemoryClaimStore
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.embedder import WIDTH, FakeEmbedder
from tests.support.fakes.gallery import FakeGallery
from tests.support.fakes.matches import FakeMatchStore
from tests.support.use_cases import build_use_cases, sar, sar_look, utc_now

WRITES_UNTIL_VISIBLE = 5
"""The pending vessel, two confirmations, the sightings, the vessel."""
WRITES = WRITES_UNTIL_VISIBLE + 4
"""For each match, its sighting is assigned and its record settled."""


class PowerCutError(RuntimeError):
    """The process was killed."""


class Power:
    """Ends when `left` writes are used up."""

    def __init__(self) -> None:
        self.left: int | None = None

    def use(self) -> None:
        if self.left == 0:
            raise PowerCutError
        if self.left is not None:
            self.left -= 1


class PoweredGallery(FakeGallery):
    def __init__(self, power: Power) -> None:
        super().__init__(FakeEmbedder.bundle_id, WIDTH)
        self.power = power

    def put_vessel(self, vessel: Vessel, fence: UUID | None = None) -> None:
        self.power.use()
        super().put_vessel(vessel, fence)

    def move_sightings(
        self, ids: Sequence[UUID], vessel: Vessel | None, origin: UUID | None = None
    ) -> None:
        self.power.use()
        super().move_sightings(ids, vessel, origin)


class PoweredMatches(FakeMatchStore):
    def __init__(self, power: Power) -> None:
        super().__init__()
        self.power = power

    def put(self, *records: MatchRecord) -> None:
        self.power.use()
        super().put(*records)


@pytest.mark.parametrize("writes", range(WRITES + 1))
def test_a_registration_is_done_or_undone(writes: int) -> None:
    power = Power()
    gallery, matches, chips = PoweredGallery(power), PoweredMatches(power), FakeChipStore()
    use_cases = build_use_cases(gallery, chips, matches)
    ids = [
        use_cases.matcher.match(one, MatchOptions()).match.query.id for one in (sar(7), sar_look(7))
    ]
    power.left = writes
    if writes < WRITES:
        with pytest.raises(PowerCutError):
            use_cases.groups.enrol(ids, NewVessel(name="STAR"))
    else:
        use_cases.groups.enrol(ids, NewVessel(name="STAR"))
    power.left = None
    after = build_use_cases(gallery, chips, matches, MemoryClaimStore(), now=utc_now)
    after.recovery.run()
    after.review.settle_interrupted()
    done = writes >= WRITES_UNTIL_VISIBLE
    assert gallery.counts().vessels == done
    for sighting_id in ids:
        sighting = gallery.get_sighting(sighting_id)
        assert sighting is not None
        assert (sighting.vessel_id is not None) is done
        (record,) = matches.page(MatchFilter(sighting_id=sighting_id), 5, None).matches
        assert record.standing is (Standing.CONFIRMED if done else Standing.OPEN)
        assert not record.unsettled
        assert chips.get(sighting.chip_sha256)
    again = after.groups.enrol(ids, NewVessel(name="STAR"))
    assert again.created is not done
    assert {one.id for one in again.sightings} == set(ids)


@pytest.mark.parametrize("writes", range(WRITES_UNTIL_VISIBLE))
def test_an_interrupted_registration_is_repeated_without_a_restart(writes: int) -> None:
    power = Power()
    gallery, matches = PoweredGallery(power), PoweredMatches(power)
    use_cases = build_use_cases(gallery, FakeChipStore(), matches)
    ids = [
        use_cases.matcher.match(one, MatchOptions()).match.query.id for one in (sar(7), sar_look(7))
    ]
    power.left = writes
    with pytest.raises(PowerCutError):
        use_cases.groups.enrol(ids, NewVessel(name="STAR"))
    power.left = None
    made = use_cases.groups.enrol(ids, NewVessel(name="STAR"))
    assert made.created
    assert {one.id for one in made.sightings} == set(ids)
    assert gallery.counts().vessels == 1
