"""Valid and invalid requests generated from the OpenAPI document: the service conforms to it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from schemathesis.checks import CHECKS

from service.access.roles import Role
from service.storage.local.keys import KeyFile
from tests.support.faults.scale import Scale
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.processes.service_process import ServiceProcess, running_service

Site = tuple[ServiceProcess, str]
Checks = list[Any]
"""schemathesis does not export the type of its checks."""

# They take no parameters, no body and no key: no request for them is invalid.
WITHOUT_INPUT = frozenset({"GET /livez", "GET /readyz", "GET /session", "DELETE /session"})
WITHOUT_KEY = WITHOUT_INPUT | {"POST /session"}
# The content of a file, or of a JSON document in a form, cannot be expressed by a schema.
NEEDS_MORE_THAN_A_SCHEMA = "positive_data_acceptance"
EVERY_CHECK: Checks = [
    check for check in CHECKS.get_all() if check.__name__ != NEEDS_MORE_THAN_A_SCHEMA
]
ANSWER_LIMIT_S = 60
QUIET = settings(
    deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


@dataclass(frozen=True)
class StoredIds:
    """Ids that the service has: requests for them reach further than those for random ids."""

    match_id: str
    vessel_id: str

    def put_into(self, case: schemathesis.Case[Any]) -> None:
        if "match_id" in case.path_parameters:
            case.path_parameters["match_id"] = self.match_id
            if isinstance(case.body, dict) and case.body.get("vessel_id") is not None:
                case.body["vessel_id"] = self.vessel_id


@pytest.fixture(scope="module")
def known(site: Site) -> StoredIds:
    service, key = site
    with service.client(key=key) as api:
        chips = [("chips", ("a.png", optical_png(1)))]
        vessel = api.post("/gallery", data={"vessel": '{"name": "A"}'}, files=chips)
        match = api.post("/match", files={"chip": sar_tiff(2)})
    return StoredIds(match.json()["match_id"], vessel.json()["id"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service that requires keys, and the key of a curator."""
    folder: Path = tmp_path_factory.mktemp("schema")
    _, key = KeyFile(folder / "keys.json").create("fuzzer", Role.CURATOR, datetime.now(UTC))
    configured = {
        "CROSSFIX_KEYS_FILE": str(folder / "keys.json"),
        "CROSSFIX_RATE_LIMIT_PER_MINUTE": "0",
    }
    with running_service(folder, settings=configured) as service:
        yield service, key


def document(service: ServiceProcess, key: str) -> schemathesis.BaseSchema:
    authorised = {"Authorization": f"Bearer {key}"}
    return schemathesis.openapi.from_url(f"{service.url}/openapi.json", headers=authorised)


def checks_of(operation: str) -> Checks:
    if operation not in WITHOUT_KEY:
        return EVERY_CHECK
    return [check for check in EVERY_CHECK if check.__name__ != "ignored_auth"]


def modes_of(operation: str) -> list[schemathesis.GenerationMode]:
    if operation in WITHOUT_INPUT:
        return [schemathesis.GenerationMode.POSITIVE]
    return list(schemathesis.GenerationMode)


def test_the_service_conforms_to_its_document(site: Site, known: StoredIds, scale: Scale) -> None:
    service, key = site
    authorised = {"Authorization": f"Bearer {key}"}
    wrong: dict[str, str] = {}
    statuses: Counter[int] = Counter()
    judged: Counter[int] = Counter()
    operations: list[Any] = [
        found.ok()  # type: ignore[union-attr]
        for found in document(service, key).get_all_operations()
    ]
    for operation in operations:
        checks = checks_of(operation.label)
        for mode in modes_of(operation.label):

            @seed(0)
            @settings(QUIET, max_examples=scale.schema_examples)
            @given(operation.as_strategy(generation_mode=mode))
            def send(case: schemathesis.Case[Any]) -> None:
                if mode is schemathesis.GenerationMode.POSITIVE:  # noqa: B023
                    known.put_into(case)
                # No document describes how a body is transferred; RFC 9112, 6.1, answers 501.
                assume("transfer-encoding" not in (case.headers or {}))
                answer = case.call(headers=authorised, timeout=ANSWER_LIMIT_S)
                statuses[answer.status_code] += 1
                if case.operation.label == "POST /matches/{match_id}/verdict":
                    judged[answer.status_code] += 1
                try:
                    case.validate_response(answer, checks=checks, headers=authorised)  # noqa: B023
                except (Exception, BaseExceptionGroup) as failure:
                    reasons = [str(one) for one in getattr(failure, "exceptions", [failure])]
                    wrong.setdefault(f"{case.operation.label}: {reasons}", case.as_curl_command())

            send()
    print(f"\n{len(operations)} operations, answers {dict(sorted(statuses.items()))}")
    assert len(operations) >= 15
    assert wrong == {}
    assert judged[200] > 0
    health = requests.get(f"{service.url}/readyz", timeout=ANSWER_LIMIT_S)
    assert health.status_code == 200
    assert "unexpected error" not in service.log.read_text()
