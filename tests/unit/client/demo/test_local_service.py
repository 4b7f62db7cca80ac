import socket
import sys
from pathlib import Path

import pytest

from service.client.demo.local_service import HOST, LocalService, free_port
from service.client.errors import LocalServiceError
from service.client.remote.client import Client


def test_a_taken_port_is_replaced_by_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port


def test_a_port_taken_by_another_program_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        service = LocalService(tmp_path, port=taken.getsockname()[1])
        with pytest.raises(LocalServiceError, match="is taken"), service:
            pytest.fail("it was started")


def test_a_service_that_cannot_start_is_reported_with_its_last_log_lines(tmp_path: Path) -> None:
    with (
        LocalService(tmp_path, port=free_port(0), bundle=tmp_path / "none") as service,
        Client(service.url) as client,
        pytest.raises(LocalServiceError, match="there is no bundle at"),
    ):
        service.wait_ready(client)


def test_settings_of_other_stores_are_not_inherited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSFIX_QDRANT_URL", "http://production:6333")
    monkeypatch.setenv("CROSSFIX_DEVICE", "cpu")
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\nenv | grep ^CROSSFIX_\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with LocalService(tmp_path, port=free_port(0)) as service:
        service.wait()
    assert service.log.read_text() == "CROSSFIX_DEVICE=cpu\n"
