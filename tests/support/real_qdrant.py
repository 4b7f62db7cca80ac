"""A real Qdrant server or cluster for the contract suites, where the environment names one.

CROSSFIX_TEST_QDRANT_URL names its address, or those of its nodes separated by commas, and
CROSSFIX_TEST_QDRANT_API_KEY its key. The suites create collections with a random prefix there, and
remove them. Client and server may differ by any number of versions.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from uuid import uuid4

from service.storage.server.connection import ServerConnection, connect

ADDRESSES = tuple(filter(None, os.environ.get("CROSSFIX_TEST_QDRANT_URL", "").split(",")))
API_KEY = os.environ.get("CROSSFIX_TEST_QDRANT_API_KEY")
REAL_KINDS = ["server"] if ADDRESSES else []
"""To be added to the kinds of a suite."""

Connect = Callable[[], ServerConnection]


@contextmanager
def real_server() -> Iterator[tuple[Connect, str]]:
    """Yield how to connect, and a prefix; remove the collections that have it at the end."""
    prefix = f"crossfix-test-{uuid4().hex[:12]}"
    try:
        yield lambda: ServerConnection(ADDRESSES, API_KEY), prefix
    finally:
        with closing(connect(ADDRESSES[0], API_KEY, 60.0)) as client:
            for collection in client.get_collections().collections:
                if collection.name.startswith(prefix):
                    client.delete_collection(collection.name)
