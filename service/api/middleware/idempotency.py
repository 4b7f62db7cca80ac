"""`Idempotency-Key`: a POST that is sent again with its key is answered again, not done again.

After the draft "The Idempotency-Key HTTP Header Field" of the IETF: the same key with another
request is 422, with one that is still being answered 409. Only successes are kept: what failed
changed nothing, so the same key may try again. Keys belong to the one who asks.
"""

import asyncio
import tempfile
from typing import Annotated

from fastapi import Depends, Header
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.access.idempotency import (
    CLAIM_S,
    IdempotencyClaim,
    IdempotencyState,
    IdempotencyStore,
    StoredResponse,
)
from service.access.roles import Principal
from service.api.errors import refusal
from service.api.middleware.replay import BLOCKING_BYTES, RecordedAnswer, RecordedBody, give_again
from service.api.transport_errors import AnswerTooLargeError, KeyReusedError, StillAnsweringError
from service.contract.errors import CrossfixError
from service.identity.errors import InvalidRequestError
from service.observability.metrics import Telemetry

LONGEST_KEY = 255
KEY_DESCRIPTION = "a request repeated with its key is answered as before, and not done again"


def _documented(
    key: Annotated[
        str | None,
        Header(alias="Idempotency-Key", max_length=LONGEST_KEY, description=KEY_DESCRIPTION),
    ] = None,
) -> None:
    """The header, for the OpenAPI document; `Idempotent` reads it."""


REPEATABLE = Depends(_documented)


class Idempotent:
    """Answers repeated POSTs from a store."""

    def __init__(
        self,
        app: ASGIApp,
        answers: IdempotencyStore,
        most_bytes: int,
        telemetry: Telemetry,
        renew_every_s: float = CLAIM_S / 3,
    ) -> None:
        """Wrap `app`.

        Args:
            answers: where answers are kept.
            most_bytes: of a larger answer only its being done is kept.
            telemetry: counts what is refused.
            renew_every_s: how often the key of a request under way is claimed anew.
        """
        self._app = app
        self._answers = answers
        self._most_bytes = most_bytes
        self._telemetry = telemetry
        self._renew_every_s = renew_every_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        shown = request.headers.get("idempotency-key")
        if shown is None:
            await self._app(scope, receive, send)
            return
        with tempfile.SpooledTemporaryFile(max_size=BLOCKING_BYTES) as file:
            body = RecordedBody(request, file)
            try:
                key = _owned(shown, scope)
                if not await body.record(receive):
                    return
                # The store may ask Redis; routes use another pool of threads, perhaps all busy.
                claim = await asyncio.to_thread(self._answers.claim, key, body.fingerprint)
                if claim.state is not IdempotencyState.MINE:
                    answer, kept = _kept(claim)
                    await give_again(answer, kept, send)
                    return
            except CrossfixError as error:
                await refusal(error, self._telemetry, scope["path"])(scope, receive, send)
                return
            mine = (key, body.fingerprint, claim.ticket)
            await self._do(mine, scope, body.replay(receive), send)

    async def _do(
        self, mine: tuple[str, str, str], scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Have the request done and its success kept; a failure gives the key up.

        A request goes on in its thread after its time, and holds its key until it ends.
        """

        async def keep(answer: StoredResponse) -> None:
            await asyncio.to_thread(self._answers.finish, *mine, answer)

        recorded = RecordedAnswer(send, self._most_bytes, keep)
        renewing = asyncio.create_task(self._hold(mine))
        try:
            await self._app(scope, receive, recorded.send)
        finally:
            renewing.cancel()
            if not recorded.kept:
                await asyncio.to_thread(self._answers.release, *mine)

    async def _hold(self, mine: tuple[str, str, str]) -> None:
        """Renew the claim as long as this process works on it: it lapses soon after a kill."""
        while True:
            await asyncio.sleep(self._renew_every_s)
            await asyncio.to_thread(self._answers.renew, *mine)


def _owned(key: str, scope: Scope) -> str:
    """The key, apart from everybody else's.

    Raises:
        InvalidRequestError: not 1 to 255 printable ASCII characters.
    """
    if not (1 <= len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise InvalidRequestError(
            f"Idempotency-Key: expected 1 to {LONGEST_KEY} printable ASCII characters, such as a "
            "UUID that is drawn anew for each request"
        )
    principal: Principal | None = scope.get("state", {}).get("principal")
    owner = "" if principal is None else principal.key_id or ""
    return f"{owner}:{key}"


def _kept(claim: IdempotencyClaim) -> tuple[StoredResponse, bytes]:
    """The answer that a claim found, and its body.

    Raises:
        KeyReusedError, StillAnsweringError, AnswerTooLargeError.
    """
    if claim.state is IdempotencyState.OTHER:
        raise KeyReusedError(
            "this Idempotency-Key came with another request before; draw a new one for each request"
        )
    if claim.answer is None:
        raise StillAnsweringError(
            "the same request is being answered right now; ask again shortly for its answer"
        )
    if claim.answer.body is None:
        raise AnswerTooLargeError(
            "this request was done before, but its answer was too large to keep; read what it "
            "changed with GET"
        )
    return claim.answer, claim.answer.body
