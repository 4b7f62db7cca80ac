"""An S3-compatible store for tests: the server of moto on loopback, with objects in memory."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from itertools import count
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

from service.storage.s3.bucket import BucketPlace

ACCESS_KEY, SECRET_KEY = "an-access-key", "a-secret-key"
_serial = count(1)


@dataclass(frozen=True)
class BucketDouble:
    """A running store; `port` may be the port of a proxy to it."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def new_bucket(self) -> str:
        """Create a bucket that no other test uses; return its name."""
        name = f"ships-{next(_serial)}"
        client = self.client()
        client.create_bucket(Bucket=name)
        client.close()
        return name

    def client(self) -> Any:
        """Return a client of the store; the caller closes it."""
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )

    def place(self, bucket: str, **changes: Any) -> BucketPlace:
        """Return the place of a bucket, with a short time-out unless `changes` sets another."""
        defaults: dict[str, Any] = {
            "name": bucket,
            "endpoint_url": self.url,
            "region": "us-east-1",
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET_KEY,
            "timeout_s": 2.0,
        }
        return BucketPlace(**(defaults | changes))

    def settings(self, bucket: str, prefix: str = "") -> dict[str, str]:
        """Return the settings of a service that uses a bucket."""
        return {
            "CROSSFIX_CHIP_STORE": "s3",
            "CROSSFIX_S3_BUCKET": bucket,
            "CROSSFIX_S3_PREFIX": prefix,
            "CROSSFIX_S3_ENDPOINT_URL": self.url,
            "CROSSFIX_S3_REGION": "us-east-1",
            "CROSSFIX_S3_ACCESS_KEY_ID": ACCESS_KEY,
            "CROSSFIX_S3_SECRET_ACCESS_KEY": SECRET_KEY,
        }

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Return the objects of a bucket by key."""
        client = self.client()
        try:
            listed = client.list_objects_v2(Bucket=bucket).get("Contents", ())
            return {
                one["Key"]: client.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
                for one in listed
            }
        finally:
            client.close()


@contextmanager
def running_bucket_store() -> Iterator[BucketDouble]:
    """Run a store on a free port until the end of the block."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    with redirect_stdout(io.StringIO()):
        server.start()
    try:
        yield BucketDouble(server.get_host_and_port()[1])
    finally:
        server.stop()
