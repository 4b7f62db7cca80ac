"""A fake service behind an httpx transport: stores vessels and refuses chosen chips."""

import email.policy
import json
import threading
from dataclasses import dataclass, field
from email.parser import BytesParser
from typing import Any

import httpx

TIME = "2026-03-05T17:20:00Z"
Part = tuple[str, str | None, bytes]


def multipart(request: httpx.Request) -> list[Part]:
    """Parse a multipart body into field name, file name and content of each part."""
    head = b"Content-Type: " + request.headers["content-type"].encode() + b"\r\n\r\n"
    message = BytesParser(policy=email.policy.HTTP).parsebytes(head + request.read())
    parts = []
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        parts.append((str(name), part.get_filename(), content))
    return parts


def problem(status: int, kind: str, detail: str, **headers: str) -> httpx.Response:
    body = {"type": f"urn:crossfix:problem:{kind}", "status": status, "detail": detail}
    return httpx.Response(status, json=body, headers=headers)


@dataclass
class FakeService:
    """Answers `/livez`, `POST /gallery` and `POST /gallery/{id}/chips` as the API does.

    Attributes:
        vessels: attributes by id.
        chips: file names by vessel id.
        bad: contents that are refused as chips.
        overloaded: how many requests are turned away with 429 first.
        requests: method and path of each request.
        metadata: chip metadata as sent, by file name.
    """

    vessels: dict[str, dict[str, Any]] = field(default_factory=dict)
    chips: dict[str, list[str]] = field(default_factory=dict)
    bad: set[bytes] = field(default_factory=set)
    overloaded: int = 0
    requests: list[tuple[str, str]] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self.requests.append((request.method, request.url.path))
            if request.url.path == "/livez":
                return httpx.Response(200, json={"status": "alive"})
            if self.overloaded:
                self.overloaded -= 1
                return problem(429, "overloaded", "too many wait", **{"Retry-After": "0"})
            return self._enrol(request)

    def _enrol(self, request: httpx.Request) -> httpx.Response:
        parts = multipart(request)
        form = {name: content for name, file, content in parts if file is None}
        files = [(file, content) for name, file, content in parts if file and name == "chips"]
        if any(content in self.bad for _, content in files):
            return problem(422, "chip-corrupt", "the chip is damaged")
        metadata = json.loads(form["chip_metadata"])
        pairs = zip(files, metadata, strict=True)
        self.metadata |= {str(file): fields for (file, _), fields in pairs}
        path = request.url.path.split("/")
        if len(path) == 4:
            vessel_id, created = path[2], False
            if vessel_id not in self.vessels:
                return problem(404, "not-found", "no such vessel")
        else:
            attributes = json.loads(form["vessel"])
            vessel_id = attributes["id"]
            created = vessel_id not in self.vessels
            if not created and self.vessels[vessel_id] != attributes:
                return problem(409, "conflict", "registered with other attributes")
            self.vessels[vessel_id] = attributes
        known = self.chips.setdefault(vessel_id, [])
        known += [str(file) for file, _ in files if file not in known]
        document = {"id": vessel_id, "created_at": TIME, "updated_at": TIME, "sightings": []}
        return httpx.Response(201 if created else 200, json=document)
