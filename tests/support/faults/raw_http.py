"""HTTP over plain sockets, with one connection for each request.

A client library costs so much more time than a refusal that the clients would be overloaded, not
the service.
"""

import asyncio
from urllib.parse import urlsplit

import httpx

from tests.support.processes.service_process import ServiceProcess

ANSWER_LIMIT_S = 120.0


def raw_request(request: httpx.Request) -> bytes:
    """Return the bytes of a request that closes its connection."""
    head = [f"{request.method} {request.url.raw_path.decode()} HTTP/1.1", "Connection: close"]
    head += [f"{name}: {value}" for name, value in request.headers.items()]
    return "\r\n".join([*head, "", ""]).encode() + request.read()


async def send_raw(service: ServiceProcess, request: bytes) -> tuple[int, int]:
    """Return the status of the response and its `Retry-After` in s, 0 without one.

    Raises:
        TimeoutError: there is no response in time.
        OSError: the connection is refused or reset.
    """
    place = urlsplit(service.url)
    async with asyncio.timeout(ANSWER_LIMIT_S):
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        try:
            writer.write(request)
            await writer.drain()
            head, _, _ = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
            await writer.wait_closed()
    status, *lines = head.decode("latin-1").lower().split("\r\n")
    retry_after = [line.partition(":")[2] for line in lines if line.startswith("retry-after:")]
    return int(status.split()[1]), int(retry_after[0]) if retry_after else 0
