"""Prepared responses for the tests of the clients."""

from collections.abc import Callable
from typing import Any

import httpx

from tests.support.answers import TIME, body, sighting_body, vessel_body

Handler = Callable[[httpx.Request], httpx.Response]
BUNDLE = {"bundle_id": "b", "device": "cpu", "manifest": {}, "model_card": ""}


def respond(*responses: httpx.Response | Exception) -> tuple[Handler, list[httpx.Request]]:
    """Return a handler that gives or raises one response after another, and its requests."""
    remaining, requests = list(responses), []

    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        response = remaining.pop(0)
        if isinstance(response, Exception):
            raise response
        return response

    return handler, requests


def detail_body(name: str) -> dict[str, Any]:
    """Return a vessel with a sighting."""
    return vessel_body(name, sightings=[sighting_body(name)])


def record_body(**more: Any) -> dict[str, Any]:
    """Return a match record."""
    return (
        body("ambiguous", "a") | {"asked_at": TIME, "asked_by": "local", "standing": "open"} | more
    )
