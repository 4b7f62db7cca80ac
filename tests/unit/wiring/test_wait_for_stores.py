"""A start waits for a Qdrant server that does not answer yet."""

import time
from pathlib import Path

import pytest

from service.identity.errors import StoreUnavailableError
from service.settings import Settings
from service.wiring.wait_for_stores import wait_for_stores
from tests.support.doubles.qdrant_http import running_qdrant


def settings_for(url: str, folder: Path, wait_s: float, key: str | None = None) -> Settings:
    return Settings.model_validate(
        {
            "data_dir": folder,
            "qdrant_url": url,
            "qdrant_api_key": key,
            "qdrant_timeout_s": 0.2,
            "stores_wait_s": wait_s,
        }
    )


def test_a_late_server_is_waited_for_with_one_log_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.wiring.stores.WHOLE_GALLERY_TIMEOUT_S", 0.2)
    calls_after_line = iter(range(5))
    with running_qdrant() as double:

        def fail(_: str) -> None:
            told = any(line.startswith("waiting") for line in caplog.messages)
            if not told or next(calls_after_line, None) is not None:
                raise ConnectionAbortedError("not yet")

        double.before = fail
        wait_for_stores(settings_for(double.url, tmp_path, wait_s=60.0))
    waiting = [line for line in caplog.messages if line.startswith("waiting for up to 60 s")]
    assert len(waiting) == 1


def test_waiting_ends_with_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.wiring.stores.WHOLE_GALLERY_TIMEOUT_S", 0.2)
    with running_qdrant() as double:
        url = double.url
    began = time.monotonic()
    with pytest.raises(StoreUnavailableError, match="does not answer"):
        wait_for_stores(settings_for(url, tmp_path, wait_s=0.5))
    assert time.monotonic() - began < 30


def test_a_refused_key_is_not_waited_for(tmp_path: Path) -> None:
    with running_qdrant("right") as double:
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="QDRANT_API_KEY"):
            wait_for_stores(settings_for(double.url, tmp_path, wait_s=100.0, key="wrong"))
        assert time.monotonic() - began < 30


def test_an_embedded_gallery_is_not_waited_for(tmp_path: Path) -> None:
    wait_for_stores(Settings(data_dir=tmp_path))
    assert list(tmp_path.iterdir()) == []
