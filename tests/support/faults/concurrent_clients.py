"""Clients that enrol at the same time until the service ends, and keep its responses."""

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

from service.identity.uploads import ChipUpload
from tests.support.faults.ship_chips import OPTICAL, SAR, cut_chip

MAX_CHIPS = 3


@dataclass
class ClientRequest:
    """A request of a client.

    Attributes:
        path: `/gallery`, `/gallery/<vessel>/chips` or `/match`.
        chips: the files by their SHA-256.
        name: the name of the new vessel; empty if none is registered.
        key: the `Idempotency-Key`.
        answer: the document of a successful response; None until there is one.
    """

    path: str
    chips: dict[str, bytes]
    name: str
    key: str
    answer: dict[str, Any] | None = None

    def send(self, client: httpx.Client) -> httpx.Response:
        """Send the request and keep the document of a success."""
        field_name = "chip" if self.path == "/match" else "chips"
        data = {"vessel": json.dumps({"name": self.name})} if self.name else {}
        response = client.post(
            self.path,
            data=data,
            files=[(field_name, (f"{digest}", chip)) for digest, chip in self.chips.items()],
            headers={"Idempotency-Key": self.key},
        )
        if response.is_success:
            self.answer = response.json()
        return response

    @property
    def acknowledged(self) -> bool:
        return self.answer is not None

    @property
    def vessel_id(self) -> str:
        """The id of the vessel in the answer."""
        assert self.answer is not None
        return str(self.answer["id"])

    def open_sightings(self) -> list[UUID]:
        """Return the ids of the sightings of a match."""
        return [ChipUpload(one, name=name).sighting_id(None) for name, one in self.chips.items()]


@dataclass
class ConcurrentClients:
    """Several clients; a context manager that waits at its end until all have stopped."""

    url: str
    seed: int
    count: int = 4
    requests: list[ClientRequest] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def __enter__(self) -> "ConcurrentClients":
        self._threads = [
            threading.Thread(target=self._send_requests, args=(random.Random(self.seed * 100 + i),))
            for i in range(self.count)
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

    def acknowledged(self) -> list[ClientRequest]:
        return [one for one in self.requests if one.acknowledged]

    def unanswered(self) -> list[ClientRequest]:
        return [one for one in self.requests if not one.acknowledged]

    def _send_requests(self, dice: random.Random) -> None:
        own_vessels: list[str] = []
        with httpx.Client(base_url=self.url, timeout=60.0) as client:
            while not self.stopping.is_set():
                request = self._next(dice, own_vessels)
                self.requests.append(request)
                try:
                    response = request.send(client)
                except httpx.TransportError:
                    return
                if not response.is_success:
                    self.refusals.append(response.text)
                    return
                if request.name:
                    own_vessels.append(request.vessel_id)

    def _next(self, dice: random.Random, own_vessels: Sequence[str]) -> ClientRequest:
        kind = dice.random()
        key = f"{dice.getrandbits(128):032x}"
        if kind < 0.25:
            return ClientRequest("/match", random_chips(dice, 1), "", key)
        if kind < 0.5 and own_vessels:
            path = f"/gallery/{dice.choice(own_vessels)}/chips"
            return ClientRequest(path, random_chips(dice, dice.randint(1, MAX_CHIPS)), "", key)
        chips = random_chips(dice, dice.randint(1, MAX_CHIPS))
        return ClientRequest("/gallery", chips, f"SHIP {key}", key)


def random_chips(dice: random.Random, count: int) -> dict[str, bytes]:
    """Return random chips by their SHA-256, one in five optical."""
    folders = [OPTICAL if dice.random() < 0.2 else SAR for _ in range(count)]
    chips = [cut_chip(dice, folder) for folder in folders]
    return {hashlib.sha256(chip).hexdigest(): chip for chip in chips}
