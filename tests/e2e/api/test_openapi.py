"""The OpenAPI document suits client generators, Swagger UI and the Python client."""

import json
import re
from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import httpx
import pytest
from pydantic import BaseModel

from service.client.remote import models
from tests.support.paths import ROOT

Document = dict[str, Any]
OWN_BODIES: dict[str, type[BaseModel]] = {
    "BundleOut": models.Bundle,
    "CandidateOut": models.Candidate,
    "Explanation": models.Explanation,
    "JudgementOut": models.Judgement,
    "MatchOut": models.Match,
    "MatchRecordOut": models.MatchRecord,
    "MatchSummary": models.MatchSummary,
    "QueryOut": models.Query,
    "SightingOut": models.Sighting,
    "TrackOut": models.Track,
    "TrackPosition": models.TrackPosition,
    "VerifyOut": models.Verification,
    "VesselDetail": models.VesselDetail,
    "VesselOut": models.Vessel,
}


@pytest.fixture
def document(api: httpx.Client) -> Document:
    found: Document = api.get("/openapi.json").json()
    return found


def operations(document: Document) -> Iterator[tuple[str, Document]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def forms(document: Document) -> Iterator[tuple[str, Document]]:
    for name, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {})
        if "multipart/form-data" in content:
            reference = content["multipart/form-data"]["schema"]["$ref"]
            schema = document["components"]["schemas"][reference.rpartition("/")[2]]
            yield name, schema["properties"]


def test_names_of_schemas_are_unique(document: Document) -> None:
    """FastAPI puts the module before a name that two schemas have; generators then lose one."""
    assert [name for name in document["components"]["schemas"] if "__" in name] == []


def test_operation_ids_are_unique_words(document: Document) -> None:
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(ids)) == len(ids) >= 20
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+){0,2}", one) for one in ids), ids
    assert {"match", "enrol_vessel", "list_matches", "judge_match", "merge_vessels"} <= set(ids)


def test_problems_have_one_schema(document: Document) -> None:
    found = []
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400 and "application/problem+json" in response.get("content", {}):
                found.append(response["content"]["application/problem+json"]["schema"])
                assert found[-1] == {"$ref": "#/components/schemas/Problem"}, (name, status)
    assert len(found) > 60
    schemas = document["components"]["schemas"]
    assert schemas["Problem"]["required"] == ["type", "title", "status", "detail"]
    assert "HTTPValidationError" not in schemas


def test_uploads_are_binary_and_optional_fields_are_never_null(document: Document) -> None:
    uploads = dict(forms(document))
    binary = {"type": "string", "format": "binary"}
    assert len(uploads) >= 4
    assert uploads["POST /match"]["chip"]["items"] == binary
    assert uploads["POST /gallery"]["chips"]["items"] == binary
    for name, fields in uploads.items():
        assert "null" not in json.dumps(fields), name
    for name, operation in operations(document):
        for parameter in operation.get("parameters", []):
            assert "null" not in json.dumps(parameter["schema"]), (name, parameter["name"])


def test_examples_are_no_defaults(document: Document) -> None:
    for name, fields in forms(document):
        assert '"example' not in json.dumps(fields), name
    assert "e.g. `1.24`" in dict(forms(document))["POST /match"]["lat"]["description"]
    judging = document["paths"]["/matches/{match_id}/verdict"]["post"]["requestBody"]
    content = judging["content"]["application/json"]
    assert content["examples"]["rejected"]["value"] == {"decision": "rejected"}
    assert "examples" not in content["schema"]


@pytest.mark.parametrize("name", sorted(OWN_BODIES))
def test_the_python_client_names_fields_that_are_sent(document: Document, name: str) -> None:
    sent = set(document["components"]["schemas"][name]["properties"])
    named = set(OWN_BODIES[name].model_fields)
    assert named <= sent, f"not sent: {sorted(named - sent)}"


def test_the_python_client_names_every_choice(document: Document) -> None:
    schemas = document["components"]["schemas"]
    for name in ("Verdict", "Standing", "Decision", "Modality"):
        assert set(get_args(getattr(models, name))) == set(schemas[name]["enum"]), name


def test_the_models_of_the_client_contain_models_alone() -> None:
    """A field that holds a plain dictionary would hide fields from type checkers."""

    def plain(kind: Any) -> bool:
        if get_origin(kind) in (Union, UnionType, tuple):
            return any(plain(part) for part in get_args(kind))
        return kind is dict

    kinds = [
        one for one in vars(models).values() if isinstance(one, type) and issubclass(one, BaseModel)
    ]
    assert len(kinds) > 20
    assert get_origin(models.Verdict) is Literal
    for kind in kinds:
        assert not [n for n, field in kind.model_fields.items() if plain(field.annotation)], kind


def documented_calls() -> dict[str, str]:
    """The calls of the table in docs/api.md, with what it says of them; ids are written `{id}`."""
    rows = re.findall(r"^\| (`[A-Z]+ /.*?`) \| (.*) \|$", (ROOT / "docs/api.md").read_text(), re.M)
    return {call: text for calls, text in rows for call in re.findall(r"`([^`]+)`", calls)}


def test_the_page_on_the_api_lists_every_call(document: Document) -> None:
    known = {re.sub(r"\{\w+\}", "{id}", name) for name, _ in operations(document)}
    assert known == documented_calls().keys() - {"GET /docs"}


def test_the_page_on_the_api_lists_the_fields_of_a_match_and_the_filters_of_lists(
    document: Document,
) -> None:
    fields = dict(forms(document))["POST /match"].keys()
    assert set(re.findall(r"`(\w+)`", documented_calls()["POST /match"])) == fields
    for call in ("GET /matches", "GET /gallery"):
        parameters = {one["name"] for one in dict(operations(document))[call]["parameters"]}
        named = set(re.findall(r"`(\w+)`", documented_calls()[call]))
        assert named == parameters - {"limit", "cursor", "accept"}
