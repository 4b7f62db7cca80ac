"""A running service moves to another bundle and back without dropping a request."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from qdrant_client import QdrantClient

from service.contract.bundle import Bundle, open_bundle
from service.contract.errors import BundleError
from service.identity.errors import StoreUnavailableError
from service.maintenance.reembed import Share
from service.settings import SHIPPED_BUNDLE, Settings
from service.storage.audit.check import read_entries
from service.storage.server import connection
from service.wiring import bundle_follower as following
from service.wiring.active_bundle import ActiveBundle, ServedBundle
from service.wiring.app import create_app
from service.wiring.bundles import bundle_to_serve
from service.wiring.maintenance import upgrade_gallery
from tests.support.fakes.audit import FakeAuditLog
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.processes.service_process import free_port
from tests.support.training.second_bundle import second_bundle

LIMIT_S = 60.0


class SharedServer:
    """The same in-memory server for every client, one call at a time; `close` does nothing."""

    def __init__(self) -> None:
        self._client = QdrantClient(":memory:")
        self._lock = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any, **named: Any) -> Any:
            with self._lock:
                return method(*arguments, **named)

        return call

    def close(self) -> None:
        return


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    server = SharedServer()
    monkeypatch.setattr(connection, "connect", lambda *_: server)
    monkeypatch.setattr(following, "LOOK_EVERY_S", 0.1)
    return Settings(
        bundle=SHIPPED_BUNDLE,
        data_dir=tmp_path / "data",
        qdrant_url="http://in-this-process.invalid",
        device="cpu",
        threads=1,
        rate_limit_per_minute=0,
    )


@pytest.fixture
def second(tmp_path: Path) -> Bundle:
    return second_bundle(tmp_path / "second")


class RepeatedMatches:
    """Sends matches within the block; collects the statuses and the bundles that answered."""

    def __init__(self, api: httpx.Client) -> None:
        self.statuses: set[int] = set()
        self.bundles: list[str] = []
        self._api = api
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> "RepeatedMatches":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _send(self) -> None:
        while not self._stop.is_set():
            answer = self._api.post("/match", files={"chip": sar_tiff(1)}, data={"store": "false"})
            self.statuses.add(answer.status_code)
            self.bundles.append(answer.json()["model"]["bundle_id"])


@contextmanager
def serving(settings: Settings) -> Iterator[httpx.Client]:
    """A client of the service, which runs in a thread and answers on a socket."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=port, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=LIMIT_S) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def enrol(api: httpx.Client, seed: int) -> str:
    answer = api.post(
        "/gallery",
        data={"vessel": f'{{"name": "VESSEL {seed}"}}'},
        files=[("chips", ("chip.png", optical_png(seed)))],
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_a_service_moves_to_another_bundle_and_back_without_dropping_a_request(
    settings: Settings, second: Bundle
) -> None:
    shipped = open_bundle(SHIPPED_BUNDLE).bundle_id
    with serving(settings) as api:
        for seed in range(3):
            enrol(api, seed)
        with RepeatedMatches(api) as matches:
            wait_for(lambda: len(matches.bundles) > 2)
            assert upgrade_gallery(settings, second.path).serving
            wait_for(lambda: matches.bundles[-1] == second.bundle_id)
            wait_for(lambda: api.get("/bundle").json()["bundle_id"] == second.bundle_id)
            enrol(api, 7)
            assert upgrade_gallery(settings, SHIPPED_BUNDLE).embedded == 1
            wait_for(lambda: matches.bundles[-1] == shipped)
        assert matches.statuses == {200}
        assert api.get("/readyz").json()["ready"]
        assert len(api.get("/gallery").json()["vessels"]) == 4
        last = api.post("/match", files={"chip": sar_tiff(1)}).json()
        assert last["gallery"] == {"vessels": 4, "sightings": 4}
    audit = settings.data_dir / "audit"
    begun = [entry for _, entry in read_entries(audit) if entry.get("phase") == "begun"]
    for action in ("switch-bundle", "follow-bundle"):
        moves = [(one["former"], one["bundle_id"]) for one in begun if one["action"] == action]
        assert moves == [(shipped, second.bundle_id), (second.bundle_id, shipped)]


def test_sightings_enrolled_just_before_the_move_are_embedded_for_the_new_bundle(
    settings: Settings, second: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LOOK_EVERY_S", 1.0)
    with serving(settings) as api:
        enrol(api, 1)
        assert upgrade_gallery(settings, second.path).serving
        late = enrol(api, 2)
        wait_for(lambda: api.get("/bundle").json()["bundle_id"] == second.bundle_id)
        wait_for(lambda: len(api.get(f"/gallery/{late}").json()["sightings"]) == 1)


def test_several_workers_move_a_gallery_that_grows_meanwhile(
    settings: Settings, second: Bundle
) -> None:
    """Late sightings in the share of a worker that has finished are embedded by another worker."""
    with serving(settings) as api:
        for seed in range(3):
            enrol(api, seed)
        first = upgrade_gallery(settings, second.path, Share(0, 2))
        assert (first.serving, first.embedded + first.left) == (False, 3)
        late = iter(range(3, 7))

        def enrol_late(_: int) -> None:
            for seed in late:
                enrol(api, seed)

        outcome = upgrade_gallery(settings, second.path, Share(1, 2), found=enrol_late)
        assert (outcome.serving, outcome.embedded) == (True, first.left + 4)


def test_a_service_starts_with_the_active_bundle_of_the_gallery(
    settings: Settings, second: Bundle
) -> None:
    with serving(settings) as api:
        enrol(api, 1)
    upgrade_gallery(settings, second.path)
    assert open_bundle(bundle_to_serve(settings)).bundle_id == second.bundle_id


def test_a_gallery_stays_with_its_bundle_when_another_one_is_configured(
    settings: Settings, second: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    """An update of Crossfix may replace the shipped bundle, so the service keeps a copy."""
    with serving(settings) as api:
        enrol(api, 1)
    with serving(settings.model_copy(update={"bundle": second.path})) as api:
        assert api.get("/bundle").json()["bundle_id"] == open_bundle(SHIPPED_BUNDLE).bundle_id
        assert api.post("/match", files={"chip": sar_tiff(1)}).json()["gallery"]["vessels"] == 1
    assert f"crossfix reembed --to {second.path}" in caplog.text


def test_starting_without_the_bundle_of_the_gallery_is_rejected_and_names_the_command(
    tmp_path: Path, second: Bundle
) -> None:
    first = Settings(bundle=SHIPPED_BUNDLE, data_dir=tmp_path / "data", device="cpu", threads=1)
    create_and_close(first)
    shutil.rmtree(first.data_dir / "bundles")
    other = first.model_copy(update={"bundle": second.path})
    with pytest.raises(BundleError, match="crossfix reembed --to"):
        create_app(other)


def create_and_close(settings: Settings) -> None:
    with serving(settings) as api:
        assert api.get("/livez").status_code == 200


def fake_bundle(bundle_id: str = "one") -> ServedBundle:
    parts: Any = SimpleNamespace(bundle=SimpleNamespace(bundle_id=bundle_id), close=lambda: None)
    return ServedBundle(parts, parts, FastAPI())


def test_late_sightings_of_the_former_bundle_are_looked_for_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second look comes when all replicas have moved: one may have been stopped before."""
    looks: list[tuple[str, str]] = []
    failures = [StoreUnavailableError("down")]

    def embed_late_sightings(*arguments: Any) -> int:
        if failures:
            raise failures.pop()
        looks.append(arguments[-2:])
        return 0

    monkeypatch.setattr(following, "embed_late_sightings", embed_late_sightings)
    monkeypatch.setattr(following, "find_bundle", lambda *_: Path())
    at = [1000.0]
    archive: Any = SimpleNamespace(active=lambda: "two")
    follower = following.BundleFollower(
        ActiveBundle(fake_bundle()),
        Settings(),
        lambda _: fake_bundle("two"),
        FakeAuditLog(),
        lambda: at[0],
    )
    with pytest.raises(StoreUnavailableError):
        follower.follow(archive)
    follower.follow(archive)
    follower.follow(archive)
    assert looks == [("one", "two")]
    at[0] += following.SECOND_LOOK_AFTER_S
    follower.follow(archive)
    follower.follow(archive)
    assert looks == [("one", "two")] * 2


def test_the_former_bundle_stays_open_until_its_requests_are_answered() -> None:
    active = ActiveBundle(fake_bundle())
    former, other = active.current, fake_bundle()
    released: list[ServedBundle] = []
    mover = threading.Thread(target=lambda: released.append(active.switch_to(other)))
    with active.in_use() as earlier:
        mover.start()
        wait_for(lambda: active.current is other)
        assert earlier is former
        assert released == []
        with active.in_use() as later:
            assert later is other
    mover.join(LIMIT_S)
    assert released == [former]
