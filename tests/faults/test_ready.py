"""`/readyz` is red while a part does not work and green again by itself; `/livez` tells of the
process alone.
"""

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
from tests.support.service_process import ServiceProcess
from tests.unit.wiring.test_bundle_follower import serving

LIMIT_S = 60.0


@contextmanager
def moved_away(path: Path) -> Any:
    """As if its volume were gone."""
    aside = path.with_name(f"{path.name}-aside")
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)


def red_parts(api: httpx.Client) -> list[str]:
    answer = api.get("/readyz")
    parts = answer.json()["parts"]
    bad = [name for name, problem in parts.items() if problem]
    assert answer.status_code == (503 if bad else 200)
    assert api.get("/livez").status_code == 200
    return bad


def assert_red_and_green_again(
    api: httpx.Client, part: str, broken: AbstractContextManager[object]
) -> None:
    wait_until(lambda: red_parts(api) == [], LIMIT_S, "being ready")
    with broken:
        wait_until(lambda: red_parts(api) == [part], LIMIT_S, f"noticing that {part} fails")
    wait_until(lambda: red_parts(api) == [], LIMIT_S, f"noticing that {part} works")


@pytest.mark.parametrize(
    ("part", "folder"),
    [("chips", "chips/incoming"), ("gallery", "gallery"), ("audit", "audit")],
)
def test_a_store_that_is_gone(
    service_folder: Path, api: httpx.Client, part: str, folder: str
) -> None:
    broken = moved_away(service_folder / "data" / folder)
    assert_red_and_green_again(api, part, broken)


def test_a_process_that_stands_still_is_not_alive(
    service: ServiceProcess, api: httpx.Client
) -> None:
    os.kill(service.process.pid, signal.SIGSTOP)
    try:
        with service.client(timeout_s=1.0) as impatient, pytest.raises(httpx.TimeoutException):
            impatient.get("/livez")
    finally:
        os.kill(service.process.pid, signal.SIGCONT)
    wait_until(lambda: red_parts(api) == [], LIMIT_S, "going on")


def test_inference_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(bundle=SHIPPED_BUNDLE, data_dir=tmp_path, device="cpu", threads=1)
    with serving(settings) as api:
        assert_red_and_green_again(api, "inference", failing_inference(monkeypatch))


@contextmanager
def failing_inference(monkeypatch: pytest.MonkeyPatch) -> Any:
    def fail(*_: object) -> Callable[[], None]:
        raise RuntimeError("CUDA error: device-side assert triggered")

    with monkeypatch.context() as broken:
        broken.setattr(Encoder, "encode", fail)
        yield
