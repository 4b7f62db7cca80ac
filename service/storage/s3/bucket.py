"""A bucket of an S3-compatible store: asked for whole objects, and naming what goes wrong.

The only importer of boto3, with `chips_s3.py` and `bundles_s3.py` upon it.
"""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.parsers import ResponseParserError

from service.identity.errors import StoreFullError, StoreUnavailableError

CONNECTIONS = 64
PROBE_TIMEOUT_S = 2.0
PIECE_BYTES = 1 << 20
PAGE = 1000
FULL = 507
REFUSED = (401, 403)
FULL_WORDS = ("QuotaExceeded", "StorageFull", "InsufficientStorage")
"""How the codes end that Ceph (whose quotas answer 403), MinIO and others give."""
CUT_SHORT = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """Where a bucket is and how it is asked.

    Attributes:
        name: the bucket.
        prefix: what all keys begin with; empty or ending in a slash.
        endpoint_url: the store; None for AWS's own.
        region: None for what AWS's tools would take.
        access_key_id, secret_access_key: None for what AWS's tools would find.
        timeout_s: longest silence while connecting or answering.
        tries: how often one request is sent at most.
    """

    name: str
    prefix: str = ""
    endpoint_url: str | None = None
    region: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    timeout_s: float = 5.0
    tries: int = 3


@dataclass(frozen=True, slots=True)
class Kept:
    """What a store tells of an object; `key` is without the prefix, the time by its clock."""

    key: str
    size_bytes: int
    stored_at: datetime


class Bucket:
    """Whole objects by key. Safe for many threads.

    Every method raises StoreUnavailableError when the store fails or refuses, and StoreFullError
    when it says that it is full. A `put` that returned is durable, as S3 promises.
    """

    def __init__(self, place: BucketPlace) -> None:
        """Asks nothing yet."""
        self._place = place
        with self._asking("open"):
            session = boto3.session.Session()
            self._client = _client(session, place, place.timeout_s, place.tries)
            self._prober = _client(session, place, min(place.timeout_s, PROBE_TIMEOUT_S), 1)

    def put(self, key: str, data: bytes) -> None:
        """Keep these bytes under the key, in one step; the store checks that it got them whole."""
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        self._send(key, data, digest)

    def put_file(self, key: str, path: Path) -> None:
        """As `put`, from a file of any size up to 5 GB, without reading it into memory."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()
            file.seek(0)
            self._send(key, file, digest)

    def get(self, key: str) -> bytes | None:
        """The bytes; None when there is no such object. An answer cut short is asked for again."""
        with self._asking(f"read {key} from"):
            try:
                return self._read(key)
            except CUT_SHORT:
                return self._read(key)

    def get_file(self, key: str, path: Path) -> bool:
        """Write an object to a file; False when there is no such object."""
        with self._asking(f"read {key} from"):
            answer = self._answer(key)
            if answer is None:
                return False
            with closing(answer["Body"]) as body, path.open("wb") as file:
                while piece := body.read(PIECE_BYTES):
                    file.write(piece)
            return True

    def about(self, key: str) -> Kept | None:
        """What the store tells of an object; None when there is no such object or bucket."""
        with self._asking(f"look for {key} in"):
            try:
                facts = self._client.head_object(Bucket=self._place.name, Key=self._key(key))
            except ClientError as error:
                if _status(error) == 404:
                    return None
                raise
            return Kept(key, int(facts["ContentLength"]), facts["LastModified"])

    def objects(self, under: str) -> Iterator[Kept]:
        """Every object whose key begins with `under`, in order of key."""
        more: dict[str, str] = {}
        while True:
            with self._asking(f"list {under} in"):
                page = self._client.list_objects_v2(
                    Bucket=self._place.name, Prefix=self._key(under), MaxKeys=PAGE, **more
                )
                found = [self._kept(entry) for entry in page.get("Contents", ())]
            yield from found
            token = page.get("NextContinuationToken")
            if not token:
                return
            more = {"ContinuationToken": token}

    def delete(self, key: str) -> None:
        """Absent is fine."""
        with self._asking(f"delete {key} from"):
            self._client.delete_object(Bucket=self._place.name, Key=self._key(key))

    def reach(self) -> None:
        """Ask once, briefly, whether the bucket is there and may be used."""
        with self._asking("reach"):
            self._prober.head_bucket(Bucket=self._place.name)

    def close(self) -> None:
        self._client.close()
        self._prober.close()

    def _key(self, key: str) -> str:
        return f"{self._place.prefix}{key}"

    def _kept(self, entry: dict[str, Any]) -> Kept:
        key = str(entry["Key"]).removeprefix(self._place.prefix)
        return Kept(key, int(entry["Size"]), entry["LastModified"])

    def _send(self, key: str, body: bytes | BinaryIO, md5: bytes) -> None:
        with self._asking(f"keep {key} in"):
            answer = self._client.put_object(
                Bucket=self._place.name,
                Key=self._key(key),
                Body=body,
                ContentMD5=base64.b64encode(md5).decode(),
            )
            if not answer.get("ETag"):
                raise ValueError("the answer names no object; is this an S3 store?")

    def _answer(self, key: str) -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = self._client.get_object(
                Bucket=self._place.name, Key=self._key(key)
            )
        except self._client.exceptions.NoSuchKey:
            return None
        return answer

    def _read(self, key: str) -> bytes | None:
        answer = self._answer(key)
        if answer is None:
            return None
        with closing(answer["Body"]) as body:
            data: bytes = body.read()
        return data

    @contextmanager
    def _asking(self, doing: str) -> Iterator[None]:
        """Whatever the store or the network does becomes one of our errors."""
        where = f"cannot {doing} bucket {self._place.name}"
        try:
            yield
        except ClientError as error:
            raise self._named(error, where) from error
        except KeyError as error:
            raise StoreUnavailableError(f"{where}: the answer lacks {error}") from error
        except (BotoCoreError, ResponseParserError, OSError, ValueError) as error:
            raise StoreUnavailableError(f"{where}: {error}") from error

    def _named(self, error: ClientError, where: str) -> Exception:
        code, status = _code(error), _status(error)
        message = str(error.response.get("Error", {}).get("Message", ""))[:300]
        said = f"{code} ({message})" if message else code
        if status == FULL or code.endswith(FULL_WORDS):
            return StoreFullError(f"{where}: the store is full, it says {said}")
        if code == "NoSuchBucket" or status == 404:
            return StoreUnavailableError(
                f"{where}: there is no such bucket, it says {said}; check CROSSFIX_S3_BUCKET and "
                "CROSSFIX_S3_ENDPOINT_URL"
            )
        if status in REFUSED:
            return StoreUnavailableError(
                f"{where}: refused, it says {said}; check the access key and what it may do"
            )
        return StoreUnavailableError(f"{where}: the store answered {status}, {said}")


def _client(
    session: "boto3.session.Session", place: BucketPlace, timeout_s: float, tries: int
) -> Any:
    config = Config(
        connect_timeout=timeout_s,
        read_timeout=timeout_s,
        retries={"total_max_attempts": tries, "mode": "standard"},
        max_pool_connections=CONNECTIONS,
        tcp_keepalive=True,
        # Newer checksums are unknown to many stores; what is put carries a Content-MD5, and what
        # is read is compared with its SHA-256.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return session.client(
        "s3",
        endpoint_url=place.endpoint_url,
        region_name=place.region,
        aws_access_key_id=place.access_key_id,
        aws_secret_access_key=place.secret_access_key,
        config=config,
    )


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
