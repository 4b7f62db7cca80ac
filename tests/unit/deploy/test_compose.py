"""What an operations team relies on in docker-compose.yml and its override."""

import re

import pytest

from service.settings import Settings
from tests.support.paths import ROOT
from tests.support.processes.compose_files import compose_file

SERVICES = compose_file("docker-compose.yml")["services"]
each = pytest.mark.parametrize("name", sorted(SERVICES))


@each
def test_each_service_is_confined_limited_and_watched(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"]
    assert service["logging"]["options"]["max-size"]
    assert {"cpus", "memory"} <= service["deploy"]["resources"]["limits"].keys()


@each
def test_images_of_others_are_pinned_to_a_release(name: str) -> None:
    if "build" not in SERVICES[name]:
        assert re.search(r":v?\d+\.\d+\.\d+(-[a-z0-9]+)?$", SERVICES[name]["image"])


def test_only_the_service_and_grafana_can_be_reached() -> None:
    assert {n for n, s in SERVICES.items() if "ports" in s} == {"service", "grafana"}
    assert {n for n, s in SERVICES.items() if "front" in s["networks"]} == {"service", "grafana"}
    assert compose_file("docker-compose.yml")["networks"]["back"] == {"internal": True}
    for service in SERVICES.values():
        for port in service.get("ports", ()):
            assert port.startswith("${PUBLISH_ADDRESS:-127.0.0.1}:")


def test_what_must_last_lies_in_named_volumes() -> None:
    named = compose_file("docker-compose.yml")["volumes"].keys()
    mounted = {mount.split(":")[0] for s in SERVICES.values() for mount in s.get("volumes", ())}
    assert named == {mount for mount in mounted if not mount.startswith("./")}
    for mount in mounted - named:
        assert (ROOT / mount).exists()


def test_every_secret_is_asked_for_in_the_example() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    example = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"\$\{(\w+):\?", text)) == set(re.findall(r"^(\w+)=$", example, re.M))
    defaults = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", text))
    assert defaults == dict(re.findall(r"^#(\w+)=(.*)$", example, re.M))


@pytest.mark.parametrize("file", ["docker-compose.yml", "deploy/compose.cpu.yml", "Dockerfile"])
def test_only_settings_that_exist_are_set(file: str) -> None:
    known = {f"CROSSFIX_{name.upper()}" for name in Settings.model_fields}
    used = set(re.findall(r"\bCROSSFIX_(?!TEST_)[A-Z_]+\b", (ROOT / file).read_text()))
    assert used
    assert used - known == set()


def test_the_cpu_override_asks_for_no_gpu_and_keeps_the_limits() -> None:
    service = compose_file("deploy/compose.cpu.yml")["services"]["service"]
    assert service["deploy"] == {"resources": {"reservations": None}}
    assert service["build"]["target"] == "cpu"
    assert service["environment"] == {"CROSSFIX_DEVICE": "cpu"}
