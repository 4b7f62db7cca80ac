"""Clients that enrol at once until the service is gone, and remember what they were told."""

import hashlib
import json
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from uuid import UUID

import httpx

from service.identity.uploads import sighting_id
from tests.support.faults.ship_chips import OPTICAL, SAR, cut_chip

MOST_CHIPS = 3


@dataclass
class Order:
    """One request of a client; `answer` is what it was told, None while nobody answered.

    Attributes:
        path: `/gallery`, `/gallery/<vessel>/chips` or `/match`.
        chips: the files by their SHA-256.
        name: of the new vessel; empty where none is registered.
        key: the `Idempotency-Key`.
        answer: the document of a success.
    """

    path: str
    chips: dict[str, bytes]
    name: str
    key: str
    answer: dict[str, Any] | None = None

    def send(self, client: httpx.Client) -> httpx.Response:
        """Ask, and note the answer when it is a success."""
        field_name = "chip" if self.path == "/match" else "chips"
        data = {"vessel": json.dumps({"name": self.name})} if self.name else {}
        answer = client.post(
            self.path,
            data=data,
            files=[(field_name, (f"{digest}", chip)) for digest, chip in self.chips.items()],
            headers={"Idempotency-Key": self.key},
        )
        if answer.is_success:
            self.answer = answer.json()
        return answer

    @property
    def acknowledged(self) -> bool:
        return self.answer is not None

    @property
    def vessel_id(self) -> str:
        """The vessel that the answer is about."""
        assert self.answer is not None
        return str(self.answer["id"])

    def open_sightings(self) -> list[UUID]:
        """Ids that the sightings of a match have."""
        return [sighting_id(digest, None) for digest in self.chips]


@dataclass
class Crowd:
    """A number of clients; use as a context, which waits until all of them are turned away."""

    url: str
    seed: int
    clients: int = 4
    orders: list[Order] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def __enter__(self) -> "Crowd":
        self._threads = [
            threading.Thread(target=self._ask_on, args=(random.Random(self.seed * 100 + i),))
            for i in range(self.clients)
        ]
        self.stopping = threading.Event()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join()

    def acknowledged(self) -> list[Order]:
        return [one for one in self.orders if one.acknowledged]

    def unanswered(self) -> list[Order]:
        return [one for one in self.orders if not one.acknowledged]

    def _ask_on(self, dice: random.Random) -> None:
        mine: list[str] = []
        with httpx.Client(base_url=self.url, timeout=60.0) as client:
            while not self.stopping.is_set():
                order = self._next(dice, mine)
                self.orders.append(order)
                try:
                    answer = order.send(client)
                except httpx.TransportError:
                    return
                if not answer.is_success:
                    self.refusals.append(answer.text)
                    return
                if order.name:
                    mine.append(order.vessel_id)

    def _next(self, dice: random.Random, mine: Sequence[str]) -> Order:
        kind = dice.random()
        key = f"{dice.getrandbits(128):032x}"
        if kind < 0.25:
            return Order("/match", some_chips(dice, 1), "", key)
        if kind < 0.5 and mine:
            path = f"/gallery/{dice.choice(mine)}/chips"
            return Order(path, some_chips(dice, dice.randint(1, MOST_CHIPS)), "", key)
        chips = some_chips(dice, dice.randint(1, MOST_CHIPS))
        return Order("/gallery", chips, f"SHIP {key}", key)


def some_chips(dice: random.Random, count: int) -> dict[str, bytes]:
    """Chips by their SHA-256, one in five optical."""
    folders = [OPTICAL if dice.random() < 0.2 else SAR for _ in range(count)]
    chips = [cut_chip(dice, folder) for folder in folders]
    return {hashlib.sha256(chip).hexdigest(): chip for chip in chips}
