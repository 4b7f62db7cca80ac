"""One replica deletes the last use of a chip while another stores the same chip."""

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st

from service.identity.enrol import NewVessel
from service.identity.errors import StoreUnavailableError
from service.identity.matching.match import MatchOptions
from service.identity.records.sightings import EmbeddedSighting
from service.identity.records.vessels import Vessel
from service.storage.local.claims import MemoryClaimStore
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.embedder import WIDTH, FakeEmbedder
from tests.support.fakes.gallery import FakeGallery
from tests.support.use_cases import UseCases, build_use_cases, optical

CHIP = optical(1)
WRITER_STEPS = 4
DELETER_STEPS = 5
STEP_TIMEOUT_S = 5.0

StoreChip = Callable[[UseCases, UUID], object]


class StepOrder:
    """Runs steps of several threads one at a time in a given order; other threads run freely."""

    def __init__(self) -> None:
        self._order: list[str] = []
        self._actor = threading.local()
        self._changed = threading.Condition(threading.RLock())

    def run(self, order: Sequence[str], actors: dict[str, Callable[[], object]]) -> None:
        """Run the actors; the steps that an actor does not use lapse when it ends."""
        self._order = list(order)
        with ThreadPoolExecutor(len(actors)) as pool:
            done = [pool.submit(self._act, name, act) for name, act in actors.items()]
        for one in done:
            one.result()

    @contextmanager
    def step(self) -> Iterator[None]:
        """Wait for the turn of this thread; no other thread takes a step within."""
        name = getattr(self._actor, "name", None)
        with self._changed:
            if name is not None:
                assert self._changed.wait_for(lambda: self._is_next(name), STEP_TIMEOUT_S)
                if self._order:
                    del self._order[0]
            try:
                yield
            finally:
                self._changed.notify_all()

    def _is_next(self, name: str) -> bool:
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


class SteppedChipStore(FakeChipStore):
    def __init__(self, steps: StepOrder) -> None:
        super().__init__()
        self._steps = steps

    def put(self, data: bytes) -> str:
        with self._steps.step():
            return super().put(data)

    def get(self, sha256: str) -> bytes:
        with self._steps.step():
            return super().get(sha256)

    def delete(self, sha256: str) -> None:
        with self._steps.step():
            super().delete(sha256)


class SteppedGallery(FakeGallery):
    def __init__(self, steps: StepOrder) -> None:
        super().__init__(FakeEmbedder.bundle_id, WIDTH)
        self._steps = steps

    def uses_chip(self, chip_sha256: str) -> bool:
        with self._steps.step():
            return super().uses_chip(chip_sha256)

    def put_sightings(self, sightings: Sequence[EmbeddedSighting], vessel: Vessel | None) -> None:
        with self._steps.step():
            super().put_sightings(sightings, vessel)

    def put_open_sightings(self, sightings: Sequence[EmbeddedSighting]) -> None:
        with self._steps.step(), self._lock:
            open_ones = [one for one in sightings if self._is_open(one.sighting.id)]
            super().put_sightings(open_ones, None)

    def _is_open(self, sighting_id: UUID) -> bool:
        known = self.get_sighting(sighting_id)
        return known is None or known.vessel_id is None


class Replicas:
    """Replicas that share gallery and chips; each has its own lock."""

    def __init__(self, deleters: int) -> None:
        self.steps = StepOrder()
        self.chips = SteppedChipStore(self.steps)
        gallery = SteppedGallery(self.steps)
        claims = MemoryClaimStore()
        self.writer = build_use_cases(gallery, self.chips, claims=claims)
        self.deleters = [
            build_use_cases(gallery, self.chips, claims=claims) for _ in range(deleters)
        ]
        enrol = self.writer.enrolment.enrol
        self.deleted = [
            enrol(NewVessel(name=f"DELETED {number}"), [CHIP]).vessel.id
            for number in range(deleters)
        ]
        self.staying = enrol(NewVessel(name="STAYING"), [optical(2)]).vessel.id

    def run(self, order: Sequence[str], store_chip: StoreChip) -> None:
        """Each deleter deletes a vessel with the chip while the writer stores the chip."""
        actors: dict[str, Callable[[], object]] = {
            f"deleter {number}": partial(use_cases.curation.delete, vessel_id)
            for number, (use_cases, vessel_id) in enumerate(
                zip(self.deleters, self.deleted, strict=True)
            )
        }
        actors["writer"] = partial(store_chip, self.writer, self.staying)
        self.steps.run(order, actors)


def add_chip(use_cases: UseCases, vessel_id: UUID) -> object:
    return use_cases.enrolment.add_chips(vessel_id, [CHIP])


def match(use_cases: UseCases, _: UUID) -> object:
    return use_cases.matcher.match(CHIP, MatchOptions())


def enrol(use_cases: UseCases, _: UUID) -> object:
    return use_cases.enrolment.enrol(NewVessel(name="NEW"), [CHIP])


@pytest.mark.parametrize("store_chip", [add_chip, match, enrol])
def test_an_acknowledged_sighting_has_its_chip_in_every_order_of_steps(
    store_chip: StoreChip,
) -> None:
    steps = WRITER_STEPS + DELETER_STEPS
    for writer_steps in itertools.combinations(range(steps), WRITER_STEPS):
        order = ["writer" if step in writer_steps else "deleter 0" for step in range(steps)]
        replicas = Replicas(deleters=1)
        replicas.run(order, store_chip)
        assert CHIP.digest in replicas.chips.data, order


@settings(max_examples=100, deadline=None)
@given(
    order=st.permutations(
        ["writer"] * WRITER_STEPS + ["deleter 0"] * DELETER_STEPS + ["deleter 1"] * DELETER_STEPS
    )
)
def test_an_acknowledged_sighting_has_its_chip_when_two_replicas_delete_it(
    order: list[str],
) -> None:
    replicas = Replicas(deleters=2)
    replicas.run(order, add_chip)
    assert CHIP.digest in replicas.chips.data


def test_a_chip_that_cannot_be_restored_is_not_acknowledged_until_sent_again(
    use_cases: UseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    vessel = use_cases.enrolment.enrol(NewVessel(name="A"), [optical(2)]).vessel
    put_sightings = use_cases.gallery.put_sightings

    def fail(_: bytes) -> str:
        raise StoreUnavailableError("no answer")

    def write_then_delete_chip(
        sightings: Sequence[EmbeddedSighting], vessel: Vessel | None
    ) -> None:
        put_sightings(sightings, vessel)
        use_cases.chips.delete(CHIP.digest)
        monkeypatch.setattr(use_cases.chips, "put", fail)

    with monkeypatch.context() as failing:
        failing.setattr(use_cases.gallery, "put_sightings", write_then_delete_chip)
        with pytest.raises(StoreUnavailableError):
            use_cases.enrolment.add_chips(vessel.id, [CHIP])
    monkeypatch.undo()
    assert len(use_cases.enrolment.add_chips(vessel.id, [CHIP]).sightings) == 2
    assert CHIP.digest in use_cases.chips.data
