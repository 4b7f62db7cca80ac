"""`/readyz` answers 503 while a part fails, and 200 when it works again; `/livez` ignores parts."""

import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.inference.encoder import Encoder
from service.settings import SHIPPED_BUNDLE, Settings
from tests.support.faults.outages import wait_until
from tests.support.processes.service_process import ServiceProcess
from tests.unit.wiring.test_bundle_follower import serving

LIMIT_S = 60.0


@contextmanager
def moved_away(path: Path) -> Any:
    """Move a folder away, as if its volume were missing."""
    aside = path.with_name(f"{path.name}-aside")
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)


def failing_parts(api: httpx.Client) -> list[str]:
    answer = api.get("/readyz")
    parts = answer.json()["parts"]
    failing = [name for name, problem in parts.items() if problem]
    assert answer.status_code == (503 if failing else 200)
    assert api.get("/livez").status_code == 200
    return failing


def assert_fails_and_recovers(
    api: httpx.Client, part: str, broken: AbstractContextManager[object]
) -> None:
    wait_until(lambda: failing_parts(api) == [], LIMIT_S, "being ready")
    with broken:
        wait_until(lambda: failing_parts(api) == [part], LIMIT_S, f"noticing that {part} fails")
    wait_until(lambda: failing_parts(api) == [], LIMIT_S, f"noticing that {part} works")


@pytest.mark.parametrize(
    ("part", "folder"), [("chips", "chips/incoming"), ("gallery", "gallery"), ("audit", "audit")]
)
def test_a_missing_store_is_reported(
    service_folder: Path, api: httpx.Client, part: str, folder: str
) -> None:
    broken = moved_away(service_folder / "data" / folder)
    assert_fails_and_recovers(api, part, broken)


def test_a_stopped_process_is_not_alive(service: ServiceProcess, api: httpx.Client) -> None:
    os.kill(service.process.pid, signal.SIGSTOP)
    try:
        with service.client(timeout_s=1.0) as client, pytest.raises(httpx.TimeoutException):
            client.get("/livez")
    finally:
        os.kill(service.process.pid, signal.SIGCONT)
    wait_until(lambda: failing_parts(api) == [], LIMIT_S, "continuing")


def test_failing_inference_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(bundle=SHIPPED_BUNDLE, data_dir=tmp_path, device="cpu", threads=1)
    with serving(settings) as api:
        assert_fails_and_recovers(api, "inference", failing_inference(monkeypatch))


@contextmanager
def failing_inference(monkeypatch: pytest.MonkeyPatch) -> Any:
    def fail(*_: object) -> Callable[[], None]:
        raise RuntimeError("CUDA error: device-side assert triggered")

    with monkeypatch.context() as broken:
        broken.setattr(Encoder, "encode", fail)
        yield
