"""A fake service with judged matches, for the tests of what is exported from it."""

from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import httpx

from service.client.remote.client import Client
from tests.support.answers import TIME, body, ship_id, sighting_body, vessel_body
from tests.support.fakes.service import problem
from tests.support.transports import BUNDLE


def sighting_of(ship: str, number: int, modality: str, digest: str, **more: Any) -> dict[str, Any]:
    """A sighting of a ship; its id follows from ship and number, its chip from the digest."""
    own = str(uuid5(NAMESPACE_OID, f"{ship} {number}"))
    as_is = {"framing": {"mode": "as_is", "method": "unchanged"}}
    facts = {"id": own, "modality": modality, "sha256": digest * 64, **as_is}
    return sighting_body(ship) | facts | more


@dataclass
class JudgedService:
    """Answers what an export asks: matches by standing, records, vessels, chips, the bundle.

    Attributes:
        ships: sightings by the ship's name.
        records: match records by id.
        chips: files by sighting id; others are not kept.
    """

    ships: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    chips: dict[str, bytes] = field(default_factory=dict)

    def enrol(self, ship: str, *sightings: dict[str, Any], chip: bytes | None) -> None:
        self.ships.setdefault(ship, []).extend(sightings)
        if chip is not None:
            self.chips |= {sighting["id"]: chip for sighting in sightings}

    def judge(self, ship: str | None, sighting: dict[str, Any], **more: Any) -> str:
        """Confirm a match as this ship, or reject one of the ships A and B; return its id."""
        match_id = str(uuid5(NAMESPACE_OID, f"match of {sighting['id']}"))
        judgement: dict[str, Any] = {
            "decision": "rejected",
            "by": "ada",
            "at": TIME,
            "note": "no cranes",
        }
        if ship is not None:
            judgement |= {"decision": "confirmed", "vessel_id": str(ship_id(ship)), "note": None}
        query = {"sighting_id": sighting["id"], "sha256": sighting["sha256"]}
        record = body("ambiguous", "A", "B") | {
            "match_id": match_id,
            "asked_at": TIME,
            "asked_by": "ada",
            "standing": judgement["decision"],
            "judgements": [judgement],
            "sighting": sighting,
        }
        record["query"] = record["query"] | query
        self.records[match_id] = record | more
        return match_id

    def client(self) -> Client:
        return Client(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        parts = request.url.path.strip("/").split("/")
        match parts:
            case ["matches"]:
                standing = request.url.params["standing"]
                found = [r for r in self.records.values() if r["standing"] == standing]
                return httpx.Response(200, json={"matches": found, "next_cursor": None})
            case ["matches", match_id]:
                return httpx.Response(200, json=self.records[match_id])
            case ["gallery", vessel_id]:
                for ship, sightings in self.ships.items():
                    if str(ship_id(ship)) == vessel_id:
                        return httpx.Response(200, json=vessel_body(ship, sightings=sightings))
            case ["sightings", sighting_id, "chip"] if sighting_id in self.chips:
                return httpx.Response(200, content=self.chips[sighting_id])
            case ["bundle"]:
                return httpx.Response(200, json=BUNDLE)
        return problem(404, "not-found", f"there is no {parts[0]} of this id")
