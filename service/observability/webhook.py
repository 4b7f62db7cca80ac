"""Send messages to a webhook, signed as Standard Webhooks 1.0.0 says (standardwebhooks.com)."""

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from service.identity.matching.announcing import Reply

TIMEOUT_S = 15.0
STOP_CHECK_S = 0.2
GONE = 410
MAX_REASON = 200
"""Characters; a library may quote what the receiver sent."""


@dataclass(frozen=True)
class Webhook:
    """The address of a receiver, and the keys that sign: each message with each of them.

    `trust_env` says whether the proxy that the environment names is used.
    """

    url: str
    keys: tuple[bytes, ...]
    trust_env: bool = True

    def send(self, message_id: str, body: bytes, stopped: Callable[[], bool]) -> Reply | None:
        """See `Send`. Redirects are not followed, and the body of the response is not read."""
        try:
            return asyncio.run(self._until_stopped(message_id, body, stopped))
        except TimeoutError:
            return Reply(False, f"{self._host} did not answer within {TIMEOUT_S:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:  # the last: odd names
            reason = f"{type(error).__name__}: {error}"[:MAX_REASON]
            return Reply(False, f"no answer from {self._host}: {reason}")

    async def _until_stopped(
        self, message_id: str, body: bytes, stopped: Callable[[], bool]
    ) -> Reply | None:
        # The timeouts of httpx are those of one read; a slow receiver could make many.
        async with asyncio.timeout(TIMEOUT_S):
            post = asyncio.create_task(self._post(message_id, body))
            while not (await asyncio.wait([post], timeout=STOP_CHECK_S))[0]:
                if stopped():
                    return None
            return post.result()

    async def _post(self, message_id: str, body: bytes) -> Reply:
        sent_at = int(time.time())
        headers = {
            "content-type": "application/json",
            "user-agent": "crossfix",
            "webhook-id": message_id,
            "webhook-timestamp": str(sent_at),
            "webhook-signature": signatures(self.keys, message_id, sent_at, body),
        }
        async with (
            httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=self.trust_env) as client,
            client.stream("POST", self.url, content=body, headers=headers) as response,
        ):
            return Reply(
                accepted=response.is_success,
                text=f"{self._host} answered {response.status_code}",
                final=response.status_code == GONE,
                wait_s=_seconds(response.headers.get("retry-after", "")),
            )

    @property
    def _host(self) -> str:
        """The receiver, for the log: its path may be a secret."""
        return urlsplit(self.url).netloc


def signatures(keys: tuple[bytes, ...], message_id: str, sent_at: int, body: bytes) -> str:
    """Return the header `webhook-signature`: HMAC-SHA256 of `id.timestamp.body` with each key.

    Args:
        keys: 24 to 64 bytes each.
        message_id: as in the header `webhook-id`.
        sent_at: of this attempt, seconds since 1970, as in `webhook-timestamp`.
        body: as it is sent.
    """
    content = f"{message_id}.{sent_at}.".encode() + body
    macs = (hmac.digest(key, content, hashlib.sha256) for key in keys)
    return " ".join("v1," + base64.b64encode(mac).decode() for mac in macs)


def _seconds(retry_after: str) -> float:
    """Return the seconds of the header `Retry-After`; 0 for a date and without the header."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
