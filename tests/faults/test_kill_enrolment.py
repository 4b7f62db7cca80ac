"""The service is killed while several clients enrol: what was acknowledged is there, nothing is
half there, and whoever asks again with the same key is answered without anything being done twice.
"""

import random
import time
from pathlib import Path

import httpx
import pytest

from tests.support.faults.crowd import Crowd, Order
from tests.support.faults.forked import Forked, start_service
from tests.support.faults.inspection import (
    assert_accounted_for,
    assert_audit_whole,
    assert_nothing_half_there,
    chips_of,
    kept_chips,
    listed_vessels,
)
from tests.support.faults.scale import Scale

LONGEST_S = 1.2
EARLY = 0.1
STARTING_S = 1.5
ANSWERED_TO_REPEAT = 2


class Book:
    """What clients were told in all rounds so far: chips by vessel, and ids of matches."""

    def __init__(self) -> None:
        self.chips: dict[str, set[str]] = {}
        self.matches: set[str] = set()
        self.open_chips: set[str] = set()

    def note(self, orders: list[Order]) -> None:
        for order in orders:
            if order.answer is None:
                continue
            if order.path == "/match":
                self.matches.add(order.answer["match_id"])
                self.open_chips |= order.chips.keys()
            else:
                self.chips.setdefault(order.vessel_id, set()).update(order.chips)


@pytest.mark.timeout(1100)
def test_killed_during_concurrent_enrolment(scale: Scale, tmp_path: Path) -> None:
    data, log, dice = tmp_path / "data", tmp_path / "service.log", random.Random(4)
    book, unanswered = Book(), 0
    service = start_service(data, log)
    for round_number in range(scale.kills):
        crowd = kill_under(service, round_number, dice)
        if dice.random() < EARLY:
            kill_while_starting(data, log, dice)
        service = start_service(data, log)
        with service.client() as api:
            assert_as_told(api, data, book, crowd)
            unanswered += len(crowd.unanswered())
            ask_again(api, crowd)
            book.note(crowd.orders)
    service.stop()
    assert_nothing_half_there(data)
    assert_accounted_for(data, book.chips.keys(), book.matches)
    assert len(book.chips) >= scale.kills / 2, "clients got somewhere before the kills"
    assert unanswered >= scale.kills, "and were in the middle of something when they came"


def kill_under(service: Forked, seed: int, dice: random.Random) -> Crowd:
    with Crowd(service.url, seed) as crowd:
        time.sleep(dice.uniform(0.0, LONGEST_S))
        service.kill()
    assert crowd.refusals == []
    return crowd


def kill_while_starting(data: Path, log: Path, dice: random.Random) -> None:
    """What was interrupted is being settled while this one dies, too."""
    starting = start_service(data, log, wait=False)
    time.sleep(dice.uniform(0.0, STARTING_S))
    starting.kill()


def assert_as_told(api: httpx.Client, data: Path, book: Book, crowd: Crowd) -> None:
    """Nothing acknowledged is lost; what nobody acknowledged is there wholly or not at all."""
    there = listed_vessels(api)
    assert book.chips.keys() <= there.keys()
    told = Book()
    told.note(crowd.acknowledged())
    asked = Book()
    asked.chips = {i: set(chips) for i, chips in told.chips.items()}
    present: set[str] = set()
    touched = told.chips.keys() | (there.keys() - book.chips.keys())
    for vessel_id in touched:
        present |= chips_of(api, vessel_id)
    for order in crowd.orders:
        assert_whole_or_absent(api, order, there, present)
    enrolled = set().union(*book.chips.values(), present)
    for order in crowd.orders:
        if order.path == "/match" and answers(api, order):
            enrolled |= order.chips.keys()
    assert kept_chips(data) == enrolled | book.open_chips
    assert_audit_whole(data)


def assert_whole_or_absent(
    api: httpx.Client, order: Order, there: dict[str, dict[str, object]], present: set[str]
) -> None:
    if order.path == "/match":
        assert answers(api, order) or not order.acknowledged
        return
    assert order.chips.keys() <= present or (
        not order.acknowledged and not order.chips.keys() & present
    ), f"{order.path} is half there"
    if order.name:
        named = [one for one in there.values() if one["name"] == order.name]
        assert len(named) == bool(order.chips.keys() & present)


def answers(api: httpx.Client, order: Order) -> bool:
    """Whether the sighting of a match is there, with its chip."""
    (identity,) = order.open_sightings()
    answer = api.get(f"/sightings/{identity}/chip")
    assert answer.status_code in (200, 404), answer.text
    return answer.status_code == 200 and answer.content in order.chips.values()


def ask_again(api: httpx.Client, crowd: Crowd) -> None:
    """Requests once more with their keys: the same vessels, the same chips, none twice."""
    before = {one.vessel_id for one in crowd.acknowledged() if one.path != "/match"}
    for order in [*crowd.unanswered(), *crowd.acknowledged()[-ANSWERED_TO_REPEAT:]]:
        known = order.answer
        answer = order.send(api)
        assert answer.is_success, answer.text
        if known is not None and order.path != "/match":
            assert order.vessel_id == known["id"]
        if order.path != "/match":
            assert order.chips.keys() <= chips_of(api, order.vessel_id)
    names = [one["name"] for one in listed_vessels(api).values()]
    assert len(names) == len(set(names))
    assert before <= listed_vessels(api).keys()
