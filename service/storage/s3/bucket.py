"""A bucket of an S3-compatible store: whole objects by key, with its errors translated."""

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
BLOCK_BYTES = 1 << 20
PAGE_SIZE = 1000
FULL = 507
REFUSED = (401, 403)
FULL_WORDS = ("QuotaExceeded", "StorageFull", "InsufficientStorage")
"""Ends of the error codes of Ceph (with status 403 for a quota), MinIO and others."""
TRUNCATED = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """Where a bucket is and how to connect to it.

    Attributes:
        prefix: the beginning of all keys; empty or ending in a slash.
        endpoint_url: the store; None for AWS.
        region: None for the default of the AWS tools.
        access_key_id, secret_access_key: None for those that the AWS tools find.
        timeout_s: longest time without a byte while connecting or reading.
        tries: how many times a request is sent at most.
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
class StoredObject:
    """An object in the bucket; `key` has no prefix, `stored_at` is by the clock of the store."""

    key: str
    size_bytes: int
    stored_at: datetime


class Bucket:
    """Whole objects by key. Safe to call from many threads.

    All methods raise StoreUnavailableError when the store fails or refuses, and StoreFullError when
    it is full. An object is durable when `put` returns, as S3 promises.
    """

    def __init__(self, place: BucketPlace) -> None:
        """Send nothing yet."""
        self._place = place
        with self._translated_errors("open"):
            session = boto3.session.Session()
            self._client = _client(session, place, place.timeout_s, place.tries)
            self._prober = _client(session, place, min(place.timeout_s, PROBE_TIMEOUT_S), 1)

    def put(self, key: str, data: bytes) -> None:
        """Store bytes under a key in one step; the store verifies their MD5."""
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        self._send(key, data, digest)

    def put_file(self, key: str, path: Path) -> None:
        """Store a file of up to 5 GB without reading it into memory; see `put`."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()
            file.seek(0)
            self._send(key, file, digest)

    def get(self, key: str) -> bytes | None:
        """Return the bytes, or None without such an object; a truncated response is read again."""
        with self._translated_errors(f"read {key} from"):
            try:
                return self._read(key)
            except TRUNCATED:
                return self._read(key)

    def get_file(self, key: str, path: Path) -> bool:
        """Write an object to a file; return False without such an object."""
        with self._translated_errors(f"read {key} from"):
            response = self._get_object(key)
            if response is None:
                return False
            with closing(response["Body"]) as body, path.open("wb") as file:
                while block := body.read(BLOCK_BYTES):
                    file.write(block)
            return True

    def find(self, key: str) -> StoredObject | None:
        """Return size and time of an object; None without such an object or bucket."""
        with self._translated_errors(f"look for {key} in"):
            try:
                response = self._client.head_object(Bucket=self._place.name, Key=self._key(key))
            except ClientError as error:
                if _status(error) == 404:
                    return None
                raise
            return StoredObject(key, int(response["ContentLength"]), response["LastModified"])

    def objects(self, folder: str) -> Iterator[StoredObject]:
        """Yield every object whose key begins with `folder`, in order of key."""
        continuation: dict[str, str] = {}
        while True:
            with self._translated_errors(f"list {folder} in"):
                page = self._client.list_objects_v2(
                    Bucket=self._place.name,
                    Prefix=self._key(folder),
                    MaxKeys=PAGE_SIZE,
                    **continuation,
                )
                found = [self._stored_object(entry) for entry in page.get("Contents", ())]
            yield from found
            token = page.get("NextContinuationToken")
            if not token:
                return
            continuation = {"ContinuationToken": token}

    def delete(self, key: str) -> None:
        """Delete an object; a missing object is no error."""
        with self._translated_errors(f"delete {key} from"):
            self._client.delete_object(Bucket=self._place.name, Key=self._key(key))

    def ping(self) -> None:
        """Check, once and with a short time-out, that the bucket exists and is accessible."""
        with self._translated_errors("reach"):
            self._prober.head_bucket(Bucket=self._place.name)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()
        self._prober.close()

    def _key(self, key: str) -> str:
        return f"{self._place.prefix}{key}"

    def _stored_object(self, entry: dict[str, Any]) -> StoredObject:
        key = str(entry["Key"]).removeprefix(self._place.prefix)
        return StoredObject(key, int(entry["Size"]), entry["LastModified"])

    def _send(self, key: str, body: bytes | BinaryIO, md5: bytes) -> None:
        with self._translated_errors(f"store {key} in"):
            response = self._client.put_object(
                Bucket=self._place.name,
                Key=self._key(key),
                Body=body,
                ContentMD5=base64.b64encode(md5).decode(),
            )
            if not response.get("ETag"):
                raise ValueError("the response names no object; is this an S3 store?")

    def _get_object(self, key: str) -> dict[str, Any] | None:
        try:
            response: dict[str, Any] = self._client.get_object(
                Bucket=self._place.name, Key=self._key(key)
            )
        except self._client.exceptions.NoSuchKey:
            return None
        return response

    def _read(self, key: str) -> bytes | None:
        response = self._get_object(key)
        if response is None:
            return None
        with closing(response["Body"]) as body:
            data: bytes = body.read()
        return data

    @contextmanager
    def _translated_errors(self, action: str) -> Iterator[None]:
        """Raise StoreFullError or StoreUnavailableError for an error of store or network."""
        where = f"cannot {action} bucket {self._place.name}"
        try:
            yield
        except ClientError as error:
            raise _translated(error, where) from error
        except KeyError as error:
            raise StoreUnavailableError(f"{where}: the response lacks {error}") from error
        except (BotoCoreError, ResponseParserError, OSError, ValueError) as error:
            raise StoreUnavailableError(f"{where}: {error}") from error


def _client(
    session: "boto3.session.Session", place: BucketPlace, timeout_s: float, tries: int
) -> Any:
    config = Config(
        connect_timeout=timeout_s,
        read_timeout=timeout_s,
        retries={"total_max_attempts": tries, "mode": "standard"},
        max_pool_connections=CONNECTIONS,
        tcp_keepalive=True,
        # Many stores do not know the newer checksums: writes carry a Content-MD5, and readers
        # verify the SHA-256.
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


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _translated(error: ClientError, where: str) -> StoreFullError | StoreUnavailableError:
    details = error.response.get("Error", {})
    code, message = str(details.get("Code", "unknown")), str(details.get("Message", ""))[:300]
    reason = f"{code} ({message})" if message else code
    status = _status(error)
    if status == FULL or code.endswith(FULL_WORDS):
        return StoreFullError(f"{where}: the store is full, it says {reason}")
    if code == "NoSuchBucket" or status == 404:
        return StoreUnavailableError(
            f"{where}: there is no such bucket, it says {reason}; check CROSSFIX_S3_BUCKET and "
            "CROSSFIX_S3_ENDPOINT_URL"
        )
    if status in REFUSED:
        return StoreUnavailableError(
            f"{where}: refused, it says {reason}; check the access key and what it may do"
        )
    return StoreUnavailableError(f"{where}: the store answered {status}, {reason}")
