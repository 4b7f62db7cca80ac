"""`Idempotency-Key`: a POST that is repeated with its key gets the stored response.

Follows the IETF draft "The Idempotency-Key HTTP Header Field": the same key with another request
is 422, with a request still in progress 409. Only successful responses are stored: a request that
failed changed nothing, so it may be tried again with the same key. Each caller has keys of its own.
"""

import asyncio
import tempfile
from typing import Annotated

from fastapi import Depends, Header
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.access.idempotency import (
    CLAIM_LIFETIME_S,
    IdempotencyClaim,
    IdempotencyState,
    IdempotencyStore,
    StoredResponse,
)
from service.api.middleware.base import HttpMiddleware, principal_of
from service.api.middleware.replay import (
    BLOCKING_BYTES,
    RecordedBody,
    RecordedResponse,
    send_stored,
)
from service.api.transport_errors import (
    IdempotencyKeyReusedError,
    RequestInProgressError,
    ResponseTooLargeError,
)
from service.identity.errors import InvalidRequestError
from service.observability.metrics import Telemetry

MAX_KEY_LENGTH = 255
MAX_RESPONSE_BYTES = 1_000_000
"""Of a larger response, only the fact that it was sent is stored."""

KEY_DESCRIPTION = "a request repeated with its key gets the same response, and is not done again"


async def _document_header(
    key: Annotated[
        str | None,
        Header(alias="Idempotency-Key", max_length=MAX_KEY_LENGTH, description=KEY_DESCRIPTION),
    ] = None,
) -> None:
    """Add the header to the OpenAPI document; `Idempotency` reads it."""


IDEMPOTENCY_HEADER = Depends(_document_header)


class Idempotency(HttpMiddleware):
    """Answers repeated POSTs from a store."""

    def __init__(
        self,
        app: ASGIApp,
        store: IdempotencyStore,
        telemetry: Telemetry,
        renew_every_s: float = CLAIM_LIFETIME_S / 3,
    ) -> None:
        """Wrap `app`.

        Args:
            renew_every_s: how often the claim of a request in progress is renewed.
        """
        super().__init__(app, telemetry)
        self._store = store
        self._renew_every_s = renew_every_s

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        sent_keys = request.headers.getlist("idempotency-key")
        if scope["method"] != "POST" or not sent_keys:
            await self._app(scope, receive, send)
            return
        sent_key = ", ".join(sent_keys)  # a header that stands twice means this (RFC 9110, 5.3)
        with tempfile.SpooledTemporaryFile(max_size=BLOCKING_BYTES) as file:
            body = RecordedBody(request, file)
            key = _key_of_caller(sent_key, scope)
            if not await body.record(receive):
                return
            # The store may call Redis; the routes' own pool of threads may be all busy.
            claim = await asyncio.to_thread(self._store.claim, key, body.fingerprint)
            if claim.state is not IdempotencyState.CLAIMED:
                response, content = _stored_response(claim)
                await send_stored(response, content, send)
                return
            own_claim = (key, body.fingerprint, claim.ticket)
            await self._run(own_claim, scope, body.replay(receive), send)

    async def _run(
        self, own_claim: tuple[str, str, str], scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Run the request and store its success; release the claim after a failure.

        A request continues in its thread after its timeout, and keeps its claim until it ends.
        """

        async def store(response: StoredResponse) -> None:
            await asyncio.to_thread(self._store.finish, *own_claim, response)

        recorded = RecordedResponse(send, MAX_RESPONSE_BYTES, store)
        renewal = asyncio.create_task(self._renew(own_claim))
        try:
            await self._app(scope, receive, recorded.send)
        finally:
            renewal.cancel()
            if not recorded.stored:
                await asyncio.to_thread(self._store.release, *own_claim)

    async def _renew(self, own_claim: tuple[str, str, str]) -> None:
        """Renew the claim until cancelled; the claim of a killed process soon expires."""
        while True:
            await asyncio.sleep(self._renew_every_s)
            await asyncio.to_thread(self._store.renew, *own_claim)


def _key_of_caller(key: str, scope: Scope) -> str:
    """Return the key with the id of the caller's API key in front of it."""
    if not (1 <= len(key) <= MAX_KEY_LENGTH and key.isascii() and key.isprintable()):
        raise InvalidRequestError(
            f"Idempotency-Key: expected 1 to {MAX_KEY_LENGTH} printable ASCII characters, such as "
            "a UUID that is drawn anew for each request"
        )
    principal = principal_of(scope)
    owner = "" if principal is None else principal.key_id or ""
    return f"{owner}:{key}"


def _stored_response(claim: IdempotencyClaim) -> tuple[StoredResponse, bytes]:
    """Return the response that a claim found, and its body."""
    if claim.state is IdempotencyState.DIFFERENT:
        raise IdempotencyKeyReusedError(
            "this Idempotency-Key came with another request before; draw a new one for each request"
        )
    if claim.answer is None:
        raise RequestInProgressError(
            "the same request is being answered right now; try again shortly for its response"
        )
    if claim.answer.body is None:
        raise ResponseTooLargeError(
            "this request was done before, but its response was too large to store; read what it "
            "changed with GET"
        )
    return claim.answer, claim.answer.body
