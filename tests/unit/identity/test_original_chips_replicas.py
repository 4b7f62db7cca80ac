"""One replica forgets the last use of a chip while another one keeps the same chip."""

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.identity.enrol import NewVessel
from service.identity.errors import StoreUnavailableError
from service.identity.match import MatchOptions
from service.identity.records.sightings import EmbeddedSighting
from service.identity.records.vessels import Vessel
from service.storage.local.claims import MemoryClaimStore
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.embedder import WIDTH, FakeEmbedder
from tests.support.fakes.gallery import FakeGallery
from tests.support.use_cases import UseCases, build_use_cases, optical

CHIP = optical(1)
KEEPER_STEPS = 4
FORGETTER_STEPS = 5
PATIENCE_S = 5.0

Keep = Callable[[UseCases, UUID], object]


class Turns:
    """Steps of several threads, one at a time and in a given order; other threads go freely."""

    def __init__(self) -> None:
        self._order: list[str] = []
        self._actor = threading.local()
        self._changed = threading.Condition(threading.RLock())

    def take(self, order: Sequence[str], actors: dict[str, Callable[[], object]]) -> None:
        """Let the actors run; what one does not use of its steps lapses when it ends."""
        self._order = list(order)
        with ThreadPoolExecutor(len(actors)) as pool:
            done = [pool.submit(self._act, name, act) for name, act in actors.items()]
        for one in done:
            one.result()

    @contextmanager
    def step(self) -> Iterator[None]:
        """Nobody else takes a step within."""
        name = getattr(self._actor, "name", None)
        with self._changed:
            if name is not None:
                assert self._changed.wait_for(lambda: self._next(name), PATIENCE_S)
                if self._order:
                    del self._order[0]
            try:
                yield
            finally:
                self._changed.notify_all()

    def _next(self, name: str) -> bool:
        return not self._order or self._order[0] == name

    def _act(self, name: str, act: Callable[[], object]) -> None:
        self._actor.name = name
        try:
            act()
        finally:
            self._actor.name = None
            with self._changed:
                self._order = [other for other in self._order if other != name]
                self._changed.notify_all()


class Chips(FakeChipStore):
    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = turns

    def put(self, data: bytes) -> str:
        with self._turns.step():
            return super().put(data)

    def get(self, sha256: str) -> bytes:
        with self._turns.step():
            return super().get(sha256)

    def delete(self, sha256: str) -> None:
        with self._turns.step():
            super().delete(sha256)


class Gallery(FakeGallery):
    def __init__(self, turns: Turns) -> None:
        super().__init__(FakeEmbedder.bundle_id, WIDTH)
        self._turns = turns

    def uses_chip(self, chip_sha256: str) -> bool:
        with self._turns.step():
            return super().uses_chip(chip_sha256)

    def put_sightings(self, sightings: Sequence[EmbeddedSighting], vessel: Vessel | None) -> None:
        with self._turns.step():
            super().put_sightings(sightings, vessel)

    def put_open_sightings(self, sightings: Sequence[EmbeddedSighting]) -> None:
        with self._turns.step(), self._turn:
            open_ones = [one for one in sightings if self._is_open(one.sighting.id)]
            super().put_sightings(open_ones, None)

    def _is_open(self, sighting_id: UUID) -> bool:
        known = self.get_sighting(sighting_id)
        return known is None or known.vessel_id is None


class Site:
    """Replicas that share gallery and chips; each has a lock of its own."""

    def __init__(self, forgetters: int) -> None:
        self.turns = Turns()
        self.chips = Chips(self.turns)
        gallery = Gallery(self.turns)
        claims = MemoryClaimStore()
        self.keeper = build_use_cases(gallery, self.chips, claims=claims)
        self.forgetters = [
            build_use_cases(gallery, self.chips, claims=claims) for _ in range(forgetters)
        ]
        enrol = self.keeper.enrolment.enrol
        self.leaving = [
            enrol(NewVessel(name=f"LEAVING {number}"), [CHIP]).vessel.id
            for number in range(forgetters)
        ]
        self.staying = enrol(NewVessel(name="STAYING"), [optical(2)]).vessel.id

    def run(self, order: Sequence[str], keep: Keep) -> None:
        """Each forgetter deletes a vessel with the chip while the keeper keeps it."""
        actors: dict[str, Callable[[], object]] = {
            f"forgetter {number}": partial(use_cases.curation.delete, vessel_id)
            for number, (use_cases, vessel_id) in enumerate(
                zip(self.forgetters, self.leaving, strict=True)
            )
        }
        actors["keeper"] = partial(keep, self.keeper, self.staying)
        self.turns.take(order, actors)


def add_chip(use_cases: UseCases, vessel_id: UUID) -> object:
    return use_cases.enrolment.add_chips(vessel_id, [CHIP])


def match(use_cases: UseCases, _: UUID) -> object:
    return use_cases.matcher.match(CHIP, MatchOptions())


def enrol(use_cases: UseCases, _: UUID) -> object:
    return use_cases.enrolment.enrol(NewVessel(name="NEW"), [CHIP])


@pytest.mark.parametrize("keep", [add_chip, match, enrol])
def test_what_is_acknowledged_has_its_bytes_in_whatever_order_two_replicas_go(keep: Keep) -> None:
    steps = KEEPER_STEPS + FORGETTER_STEPS
    for turns in itertools.combinations(range(steps), KEEPER_STEPS):
        order = ["keeper" if step in turns else "forgetter 0" for step in range(steps)]
        site = Site(forgetters=1)
        site.run(order, keep)
        assert CHIP.digest in site.chips.kept, order


@settings(max_examples=100, deadline=None)
@given(
    order=st.permutations(
        ["keeper"] * KEEPER_STEPS
        + ["forgetter 0"] * FORGETTER_STEPS
        + ["forgetter 1"] * FORGETTER_STEPS
    )
)
def test_it_has_them_where_two_replicas_forget_the_chip(order: list[str]) -> None:
    site = Site(forgetters=2)
    site.run(order, add_chip)
    assert CHIP.digest in site.chips.kept


def test_a_chip_that_cannot_be_put_again_is_not_acknowledged_and_healed_by_a_repeat(
    use_cases: UseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    vessel = use_cases.enrolment.enrol(NewVessel(name="A"), [optical(2)]).vessel
    written = use_cases.gallery.put_sightings

    def refuse(_: bytes) -> str:
        raise StoreUnavailableError("no answer")

    def deleted_meanwhile(sightings: Sequence[EmbeddedSighting], vessel: Vessel | None) -> None:
        written(sightings, vessel)
        use_cases.chips.delete(CHIP.digest)
        monkeypatch.setattr(use_cases.chips, "put", refuse)

    with monkeypatch.context() as failing:
        failing.setattr(use_cases.gallery, "put_sightings", deleted_meanwhile)
        with pytest.raises(StoreUnavailableError):
            use_cases.enrolment.add_chips(vessel.id, [CHIP])
    monkeypatch.undo()
    assert len(use_cases.enrolment.add_chips(vessel.id, [CHIP]).sightings) == 2
    assert CHIP.digest in use_cases.chips.kept
