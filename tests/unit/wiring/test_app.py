"""The application closes what it opened, also after errors."""

import asyncio
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI

from service.identity.errors import StoreUnavailableError
from service.settings import SHIPPED_BUNDLE, Settings
from service.wiring import app as assembly
from service.wiring.stores import longest_step


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        bundle=SHIPPED_BUNDLE, data_dir=tmp_path, device="cpu", threads=1, replica="only"
    )


def chains(settings: Settings) -> list[str]:
    """Return the audit chains; there is a second one if the first was still locked."""
    return sorted(path.name for path in (settings.data_dir / "audit").iterdir() if path.is_dir())


def test_a_failed_start_closes_everything_that_it_opened(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreUnavailableError("the gallery does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(assembly, "serve_bundle", fail)
        with pytest.raises(StoreUnavailableError):
            assembly.create_app(settings)
    app = assembly.create_app(settings)
    assert chains(settings) == ["only"]
    asyncio.run(run_lifespan(app))


def test_an_error_of_the_server_stops_the_threads_and_closes_the_stores(settings: Settings) -> None:
    before = set(threading.enumerate())
    error = RuntimeError("the server failed")
    with pytest.raises(RuntimeError, match="the server failed"):
        asyncio.run(run_lifespan(assembly.create_app(settings), error))
    assert {t.name for t in set(threading.enumerate()) - before if not t.daemon} == set()
    asyncio.run(run_lifespan(assembly.create_app(settings)))
    assert chains(settings) == ["only"]


async def run_lifespan(app: FastAPI, error: Exception | None = None) -> None:
    """Start the application, and end it in order or by an error."""
    async with app.router.lifespan_context(app):
        if error is not None:
            raise error


def test_the_longest_step_follows_from_the_timeouts_of_the_stores(settings: Settings) -> None:
    assert longest_step(settings) is None, "this process is the only writer"
    shared = settings.model_copy(update={"qdrant_url": "http://qdrant.example:6333"})
    assert longest_step(shared) == timedelta(minutes=3)
    slow = shared.model_copy(update={"qdrant_timeout_s": 30.0})
    assert longest_step(slow) == timedelta(minutes=18)
    far = shared.model_copy(update={"chip_store": "s3", "s3_timeout_s": 20.0})
    assert longest_step(far) == timedelta(minutes=3)
