"""What the application opens it closes, whatever goes wrong."""

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
    """The audit chains that were begun; a second one means that the first was still held."""
    return sorted(path.name for path in (settings.data_dir / "audit").iterdir() if path.is_dir())


def test_a_start_that_fails_leaves_nothing_open(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StoreUnavailableError("the gallery does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(assembly, "serve_bundle", refuse)
        with pytest.raises(StoreUnavailableError):
            assembly.create_app(settings)
    app = assembly.create_app(settings)
    assert chains(settings) == ["only"]
    asyncio.run(live(app))


def test_a_server_that_breaks_off_stops_the_watches_and_closes_the_stores(
    settings: Settings,
) -> None:
    before = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="broken off"):
        asyncio.run(live(assembly.create_app(settings), RuntimeError("broken off")))
    assert {t.name for t in set(threading.enumerate()) - before if not t.daemon} == set()
    asyncio.run(live(assembly.create_app(settings)))
    assert chains(settings) == ["only"]


async def live(app: FastAPI, end: Exception | None = None) -> None:
    """Start the application, and end it in order or by an error."""
    async with app.router.lifespan_context(app):
        if end is not None:
            raise end


def test_other_replicas_wait_for_a_change_as_long_as_its_stores_may_take(
    settings: Settings,
) -> None:
    assert longest_step(settings) is None, "nobody else writes into this gallery"
    shared = settings.model_copy(update={"qdrant_url": "http://qdrant.example:6333"})
    assert longest_step(shared) == timedelta(minutes=1)
    slow = shared.model_copy(update={"qdrant_timeout_s": 30.0})
    assert longest_step(slow) == timedelta(minutes=6)
    far = shared.model_copy(update={"chip_store": "s3", "s3_timeout_s": 20.0})
    assert longest_step(far) == timedelta(minutes=3)
