"""A service whose Qdrant fails on demand, and what it shows of its gallery."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.doubles.proxy import Fault, FaultyProxy, running_proxy
from tests.support.doubles.qdrant_http import QdrantDouble, running_qdrant
from tests.support.faults.outages import wait_until
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.processes.service_process import ServiceProcess, running_service

KEY = "a key of the double"


TIMEOUT_S = 1.0


# Changes wait for each other, and each may wait for one time-out of Qdrant.
SLACK_S = 15.0


READY_AGAIN_S = 3 * TIMEOUT_S + SLACK_S


SLOW_MACHINE_S = 60.0


Request = Callable[[httpx.Client], httpx.Response]


DISCONNECTED = Fault("disconnected", refuse=True)


@dataclass(frozen=True)
class Site:
    """A service, its Qdrant, and the proxy between them."""

    service: ServiceProcess
    double: QdrantDouble
    proxy: FaultyProxy

    def heal(self, api: httpx.Client) -> float:
        """End the fault; return the seconds until the service is ready again."""
        self.proxy.heal()
        return wait_until(
            lambda: api.get("/readyz").status_code == 200, READY_AGAIN_S, "becoming ready again"
        )


@contextmanager
def running_site(folder: Path, timeout_s: float = TIMEOUT_S) -> Iterator[Site]:
    """Start a Qdrant double, a proxy before it, and a service that uses the proxy."""
    with running_qdrant(KEY) as double, running_proxy(("127.0.0.1", double.port)) as proxy:
        settings = {
            "CROSSFIX_QDRANT_URL": f"http://127.0.0.1:{proxy.port}",
            "CROSSFIX_QDRANT_API_KEY": KEY,
            "CROSSFIX_QDRANT_TIMEOUT_S": str(timeout_s),
        }
        with running_service(folder, settings=settings) as service:
            yield Site(service, double, proxy)


@dataclass
class Ship:
    """A vessel with its own chips."""

    name: str
    seeds: tuple[int, ...]
    id: str | None = field(default=None)

    def enrol(self, api: httpx.Client) -> httpx.Response:
        answer = api.post("/gallery", data={"vessel": json.dumps(self.fields)}, files=self.files)
        if answer.status_code in (200, 201):
            self.id = answer.json()["id"]
        return answer

    @property
    def fields(self) -> dict[str, object]:
        return {"name": self.name, "type": "tanker"}

    @property
    def files(self) -> list[tuple[str, tuple[str, bytes]]]:
        return [("chips", (f"{seed}.png", optical_png(seed))) for seed in self.seeds]


def ship(number: int, chips: int = 2) -> Ship:
    return Ship(f"SHIP {number:06}", tuple(range(number * 10, number * 10 + chips)))


def visible(api: httpx.Client) -> dict[str, int]:
    """Return the names of the listed vessels and the number of sightings of each.

    Assert that each listed vessel can be read, and that a match finds listed vessels only.
    """
    listed: dict[str, int] = {}
    cursor: str | None = None
    while True:
        page = api.get("/gallery", params={"limit": 500} | ({"cursor": cursor} if cursor else {}))
        assert page.status_code == 200, page.text
        for vessel in page.json()["vessels"]:
            shown = api.get(f"/gallery/{vessel['id']}")
            assert shown.status_code == 200, shown.text
            assert vessel["name"] not in listed
            listed[vessel["name"]] = len(shown.json()["sightings"])
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
    found = api.post("/match", files={"chip": sar_tiff(1)}, data={"store": "false", "top_k": "100"})
    assert found.status_code == 200, found.text
    matched = {candidate["vessel"]["name"] for candidate in found.json()["candidates"]}
    assert matched <= listed.keys()
    assert found.json()["gallery"] == {"vessels": len(listed), "sightings": sum(listed.values())}
    return listed
