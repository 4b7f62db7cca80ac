"""The Python client of Crossfix.

from crossfix import Client

with Client("http://127.0.0.1:8080", api_key="…") as crossfix:
    answer = crossfix.match("chip_SAR.tif", gsd_m=1.0)
    print(answer.verdict, [one.vessel.label for one in answer.candidates])
"""

from service.client.errors import (
    ClientError,
    RefusedError,
    SourceError,
    StoppedError,
    UnreachableError,
)
from service.client.remote import calls, models
from service.client.remote.async_client import AsyncClient
from service.client.remote.call import ChipPart
from service.client.remote.client import Client, Matched
from service.client.remote.enrolling import ChipToEnrol, Enrolled

__all__ = [
    "AsyncClient",
    "ChipPart",
    "ChipToEnrol",
    "Client",
    "ClientError",
    "Enrolled",
    "Matched",
    "RefusedError",
    "SourceError",
    "StoppedError",
    "UnreachableError",
    "calls",
    "models",
]
