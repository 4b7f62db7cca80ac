"""Kill a service while clients change what is theirs, and start it again."""

import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.faults.forked_service import start_service
from tests.support.faults.inspection import assert_consistent_on_disk

MAX_DELAY_S = 0.03
LIMIT_S = 60.0


@dataclass
class ChangingClient(ABC):
    """A client that changes its own records one at a time.

    Attributes:
        dice: chooses what it does.
        url: of the service.
        changes: how many changes were acknowledged.
    """

    dice: random.Random
    url: str = ""
    changes: int = 0

    @abstractmethod
    def prepare(self, api: httpx.Client) -> None:
        """Make what is changed later, as far as it is missing."""

    @abstractmethod
    def change(self, api: httpx.Client) -> bool:
        """Make one change, and count it if it is acknowledged; return whether there are more."""

    def change_until_killed(self) -> None:
        with httpx.Client(base_url=self.url, timeout=60.0) as api:
            try:
                while self.change(api):
                    pass
            except httpx.TransportError:
                return


def kill_rounds(
    clients: Sequence[ChangingClient],
    place: Path,
    *,
    rounds: int,
    max_changes: int,
    dice: random.Random,
) -> Iterator[httpx.Client]:
    """Kill the service `rounds` times, a moment after up to `max_changes` more changes.

    Yields:
        a client of the service that was started after each kill; at the end the data folder
        `place / "data"` is consistent and no service runs.
    """
    data, log = place / "data", place / "service.log"
    service = start_service(data, log)
    for _ in range(rounds):
        with service.client() as api:
            for one in clients:
                one.url = service.url
                one.prepare(api)
        threads = [threading.Thread(target=one.change_until_killed) for one in clients]
        for thread in threads:
            thread.start()
        _await_changes(clients, dice.randint(1, max_changes))
        time.sleep(dice.uniform(0.0, MAX_DELAY_S))
        service.kill()
        for thread in threads:
            thread.join()
        service = start_service(data, log)
        with service.client() as api:
            yield api
    service.stop()
    assert_consistent_on_disk(data)
    assert _changes(clients) >= rounds


def _await_changes(clients: Sequence[ChangingClient], more: int) -> None:
    """Wait until `more` changes were acknowledged; others are then in progress."""
    before = _changes(clients)
    deadline = time.monotonic() + LIMIT_S
    while _changes(clients) < before + more:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def _changes(clients: Sequence[ChangingClient]) -> int:
    return sum(one.changes for one in clients)
