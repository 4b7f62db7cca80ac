"""Fixtures of the fault tests: their scale, and a service for each module."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.faults.scale import Scale, chosen_scale
from tests.support.processes.service_process import ServiceProcess, running_service


@pytest.fixture(scope="session")
def scale() -> Scale:
    return chosen_scale()


@pytest.fixture(scope="module")
def service_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the module's `service` keeps `data/` and `service.log`."""
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def service_settings() -> dict[str, str]:
    """Settings of the module's `service`; a module may override this fixture."""
    return {}


@pytest.fixture(scope="module")
def service(service_folder: Path, service_settings: dict[str, str]) -> Iterator[ServiceProcess]:
    """A real process with embedded stores, one for each module."""
    with running_service(service_folder, settings=service_settings) as process:
        yield process


@pytest.fixture
def api(service: ServiceProcess) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client
