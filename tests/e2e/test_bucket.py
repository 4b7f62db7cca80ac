"""Chips in a bucket, with real processes.

Acknowledged chips are stored after kill -9, on another machine, in a backup, and after an outage of
the bucket.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pytest

from service.contract.bundle import Bundle, open_bundle
from service.settings import load_settings
from service.storage.s3.bucket import Bucket, BucketPlace
from service.storage.s3.bundles import BucketBundleStore
from service.wiring.bundles import bundle_to_serve
from tests.support.doubles.bucket import BucketDouble, running_bucket_store
from tests.support.doubles.proxy import Fault, running_proxy
from tests.support.doubles.qdrant_http import running_qdrant
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.processes.command import crossfix
from tests.support.processes.service_process import running_service
from tests.support.training.second_bundle import second_bundle

LIMIT_S = 60.0
STORE_FULL = (
    b"HTTP/1.1 507 Insufficient Storage\r\nContent-Type: application/xml\r\n"
    b"Content-Length: 55\r\nConnection: close\r\n\r\n"
    b"<Error><Code>XMinioStorageFull</Code><Message/></Error>"
)


@pytest.fixture(scope="module")
def store() -> Iterator[BucketDouble]:
    with running_bucket_store() as double:
        yield double


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return second_bundle(tmp_path_factory.mktemp("bundle") / "second")


def enrol(api: httpx.Client, seed: int) -> dict[str, Any]:
    answer = ask_to_enrol(api, seed)
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


def ask_to_enrol(api: httpx.Client, seed: int) -> httpx.Response:
    return api.post(
        "/gallery",
        data={"vessel": json.dumps({"name": f"VESSEL {seed}"})},
        files=[("chips", ("chip.png", optical_png(seed)))],
    )


def match(api: httpx.Client, seed: int = 1) -> httpx.Response:
    return api.post("/match", files={"chip": sar_tiff(seed)})


def chips_in(store: BucketDouble, bucket: str, prefix: str = "") -> set[bytes]:
    objects = store.objects(bucket)
    return {data for key, data in objects.items() if key.startswith(f"{prefix}chips/")}


def test_acknowledged_chips_survive_a_kill_and_are_restored_into_another_bucket(
    tmp_path: Path, store: BucketDouble, second: Bundle
) -> None:
    """With the embedded gallery: kill -9, restart, backup, sweep, restore."""
    bucket, other = store.new_bucket(), store.new_bucket()
    source_settings, target_settings = store.settings(bucket, "one/"), store.settings(other)
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    with running_service(home, settings=source_settings) as service:
        with service.client() as api:
            enrolled = enrol(api, 1)
            before = match(api).json()
        service.process.kill()
        service.process.wait(10)
    install(second, store.place(bucket, prefix="one/"), tmp_path)
    with running_service(home, settings=source_settings) as service, service.client() as api:
        chip = api.get(f"/sightings/{enrolled['sightings'][0]['id']}/chip")
        assert chip.content == optical_png(1)
        assert match(api).json()["candidates"] == before["candidates"]
    assert chips_in(store, bucket, "one/") == {optical_png(1), sar_tiff(1)}
    assert not (home / "data" / "chips").exists()

    counts = crossfix(home / "data", "backup", str(tmp_path / "backup"), settings=source_settings)
    assert counts["chips"] == 2
    swept = crossfix(home / "data", "sweep", "--remove", settings=source_settings)
    assert swept == {"chips": 2, "unused": 0, "unused_bytes": 0, "removed": 0}
    restored = crossfix(
        elsewhere / "data", "restore", str(tmp_path / "backup"), settings=target_settings
    )
    assert restored == counts
    source = {key.removeprefix("one/"): data for key, data in store.objects(bucket).items()}
    assert store.objects(other) == source, "chips and installed bundles alike"


def install(bundle: Bundle, place: BucketPlace, folder: Path) -> None:
    bundles = BucketBundleStore(Bucket(place), folder / "copies")
    bundles.put(bundle)
    bundles.close()


def test_workers_without_data_folders_reembed_from_qdrant_and_the_bucket(
    tmp_path: Path, store: BucketDouble, second: Bundle
) -> None:
    """Two workers with empty data folders; the service then serves the new bundle."""
    bucket = store.new_bucket()
    with running_qdrant() as qdrant:
        settings = store.settings(bucket) | {
            "CROSSFIX_QDRANT_URL": qdrant.url,
            "CROSSFIX_QDRANT_TIMEOUT_S": "60",
        }
        home = tmp_path / "home"
        with running_service(home, settings=settings) as service, service.client() as api:
            for seed in range(4):
                enrol(api, seed)
            done = [
                crossfix(
                    tmp_path / f"worker-{number}",
                    *("reembed", "--to", str(second.path), "--shard", f"{number}/2"),
                    settings=settings,
                )
                for number in range(2)
            ]
            assert sum(one["embedded"] for one in done) == 4
            assert [one["serving"] for one in done] == [False, True]
            wait_for_bundle(api, second.bundle_id)
            answer = match(api).json()
        assert answer["model"]["bundle_id"] == second.bundle_id
        assert answer["gallery"] == {"vessels": 4, "sightings": 4}
        fresh = settings | {"CROSSFIX_DATA_DIR": str(tmp_path / "a-replica-without-data")}
        with mock.patch.dict(os.environ, fresh):
            found = bundle_to_serve(load_settings())
        assert open_bundle(found).bundle_id == second.bundle_id


def wait_for_bundle(api: httpx.Client, bundle_id: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while api.get("/bundle").json()["bundle_id"] != bundle_id:
        assert time.monotonic() < deadline, "the service does not serve the new bundle"
        time.sleep(0.1)


def test_an_outage_of_the_bucket_is_reported_and_the_service_recovers(
    tmp_path: Path, store: BucketDouble
) -> None:
    bucket = store.new_bucket()
    with running_proxy(("127.0.0.1", store.port)) as proxy:
        settings = BucketDouble(proxy.port).settings(bucket) | {
            "CROSSFIX_S3_TIMEOUT_S": "1",
            "CROSSFIX_RECOVERY_INTERVAL_S": "1",
        }
        with running_service(tmp_path, settings=settings) as service, service.client() as api:
            enrol(api, 1)
            for fault in (Fault(refuse=True), Fault(silent=True)):
                proxy.inject(fault)
                answered = match(api, seed=7)
                assert answered.status_code == 200, answered.text
                assert answered.json()["stored"] is False
                refused = ask_to_enrol(api, seed=8)
                assert refused.status_code == 503, refused.text
                assert refused.headers["Retry-After"]
                assert refused.headers["Content-Type"].startswith("application/problem+json")
                unready = wait_until_not_ready(api)
                assert bucket in unready.json()["parts"]["chips"]
                assert api.get("/livez").status_code == 200
                proxy.heal()
                wait_until_ready(api)
            proxy.inject(Fault(answer=STORE_FULL))
            full = ask_to_enrol(api, seed=8)
            assert (full.status_code, full.json()["type"][-10:]) == (507, "store-full")
            waiting = match(api, seed=9).json()
            assert waiting["stored"] is False
            proxy.heal()
            wait_until_stored(api, waiting["match_id"])
            assert {sar_tiff(7), sar_tiff(9)} <= set(chips_in(store, bucket))


def wait_until_stored(api: httpx.Client, match_id: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while api.get(f"/matches/{match_id}").status_code != 200:
        assert time.monotonic() < deadline, "a match that waits is not stored"
        time.sleep(0.1)


def wait_until_not_ready(api: httpx.Client) -> httpx.Response:
    """Wait for 503: a readiness result is valid for a second, so an outage shows later."""
    deadline = time.monotonic() + LIMIT_S
    while (answer := api.get("/readyz")).status_code != 503:
        assert time.monotonic() < deadline, "readiness does not show the outage"
        time.sleep(0.1)
    return answer


def wait_until_ready(api: httpx.Client) -> None:
    deadline = time.monotonic() + LIMIT_S
    while api.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline, "the service does not become ready again"
        time.sleep(0.1)
