"""The OpenAPI document: from it, client generators and Swagger UI work without corrections."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from service.api.problems import PROBLEM_SCHEMA, PROBLEM_SCHEMA_NAME

Schema = dict[str, Any]


def operation_id(route: APIRoute) -> str:
    """Return the id of an operation: the name of its function, which is unique."""
    return route.name


def improve_document(app: FastAPI) -> None:
    """Complete the OpenAPI document of an application whenever it is generated.

    Adds the schema of problems. In forms and query strings, an optional field may be left out
    but never be null; and an example becomes part of the description, because Swagger UI sends
    examples of form fields as if the user had entered them.
    """
    describe = app.openapi

    def openapi() -> Schema:
        if app.openapi_schema is None:
            document = describe()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas[PROBLEM_SCHEMA_NAME] = PROBLEM_SCHEMA
            for operation in _operations(document):
                for parameter in operation.get("parameters", []):
                    _tidy_field(parameter["schema"])
                for field in _form_fields(operation, schemas):
                    _tidy_field(field)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


def _operations(document: Schema) -> Iterator[Schema]:
    for path in document["paths"].values():
        yield from path.values()


def _form_fields(operation: Schema, schemas: Schema) -> Iterator[Schema]:
    content = operation.get("requestBody", {}).get("content", {})
    reference = content.get("multipart/form-data", {}).get("schema", {}).get("$ref", "")
    yield from schemas.get(reference.rpartition("/")[2], {}).get("properties", {}).values()


def _tidy_field(schema: Schema) -> None:
    """Remove the alternative null, and move examples into the description."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        schema.update(kinds[0])
    elif kinds:
        schema["anyOf"] = kinds
    if schema.get("default", "") is None:
        del schema["default"]
    if examples := schema.pop("examples", None):
        words = f"e.g. `{examples[0]}`"
        known = schema.get("description")
        schema["description"] = f"{known}; {words}" if known else words
