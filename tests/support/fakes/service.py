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
    """Answers `/livez` and `POST /gallery/bulk` as the API does.

    Attributes:
        vessels: attributes by id.
        chips: file names by vessel id.
        bad: contents that are refused as chips.
        too_large: contents with which a whole request is refused.
        overloaded: how many requests are turned away with 429 first.
        busy: how many chips are turned away with 429 first.
        warnings: of each chip that is enrolled.
        breaks_off_after: how many lines the next response has, which then breaks off.
        requests: method and path of each request.
        metadata: chip metadata as sent, by file name.
    """

    vessels: dict[str, dict[str, Any]] = field(default_factory=dict)
    chips: dict[str, list[str]] = field(default_factory=dict)
    bad: set[bytes] = field(default_factory=set)
    too_large: set[bytes] = field(default_factory=set)
    overloaded: int = 0
    busy: int = 0
    warnings: list[str] = field(default_factory=list)
    breaks_off_after: int | None = None
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
        (manifest,) = [content for name, _, content in parts if name == "manifest"]
        files = {str(file): content for name, file, content in parts if name == "chips"}
        lines = [json.loads(line) for line in manifest.splitlines()]
        if any(content in self.too_large for content in files.values()):
            return problem(413, "body-too-large", "the request is too large")
        feed = [self._enrol_chip(line, files[line["chip"]]) for line in lines]
        broken = self.breaks_off_after
        if broken is not None:
            self.breaks_off_after = None
            feed = feed[:broken]
        else:
            feed.append({"totals": {}})
        text = "".join(json.dumps(one) + "\n" for one in feed)
        return httpx.Response(200, text=text, headers={"Content-Type": "application/x-ndjson"})

    def _enrol_chip(self, line: dict[str, Any], content: bytes) -> dict[str, Any]:
        chip, attributes = line.pop("chip"), line.pop("vessel")
        if content in self.bad:
            return refused(chip, 422, "chip-corrupt", "the chip is damaged")
        if self.busy:
            self.busy -= 1
            return refused(chip, 429, "overloaded", "too many wait")
        created = attributes["id"] not in self.vessels
        if self.vessels.setdefault(attributes["id"], attributes) != attributes:
            return refused(chip, 409, "conflict", "registered with other attributes")
        self.metadata[chip] = line
        known = self.chips.setdefault(attributes["id"], [])
        outcome = "unchanged" if chip in known else "enrolled"
        known += [chip] if outcome == "enrolled" else []
        about: dict[str, Any] = {"vessel_id": attributes["id"], "sighting_id": attributes["id"]}
        return {
            "chip": chip,
            "outcome": outcome,
            "created": created,
            **about,
            "warnings": self.warnings,
        }


def refused(chip: str, status: int, kind: str, detail: str) -> dict[str, Any]:
    said = problem(status, kind, detail).json()
    return {"chip": chip, "outcome": "refused", "problem": said}
