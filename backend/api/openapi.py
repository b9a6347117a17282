"""The OpenAPI 3.1 document, made from the operations. docs/openapi.json is a copy of it; a test keeps them equal.

`python -m backend.api.openapi` prints it.
"""

import sys
from collections.abc import Iterable, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec

from backend.access.model import ROLES
from backend.api.operation import Operation, Raw, Stream
from backend.wire.errors import PROBLEMS, Problem

_REFERENCE = "#/components/schemas/{name}"
_EVERYWHERE = ("unavailable",)
_WITH_TOKEN = ("unauthenticated", "forbidden", "draining")
_WITH_BODY = ("malformed", "version-unsupported", "too-large", "unsupported-media-type", "invalid")


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The whole document as plain values, in a stable order."""
    types = [kind for operation in operations for kind in _types(operation)]
    schemas, components = msgspec.json.schema_components([*types, Problem], ref_template=_REFERENCE)
    by_type = dict(zip([*map(repr, types), repr(Problem)], schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in sorted(operations, key=lambda operation: (operation.path, operation.method)):
        paths.setdefault(operation.path, {})[operation.method.lower()] = _entry(operation, by_type)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Inkeeper",
            "version": "1",
            "summary": "Print accounting that keeps counting, charging and printing while servers die",
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "An access token"}},
        },
    }


def encoded(operations: Sequence[Operation]) -> bytes:
    """The document as it is committed and served."""
    return msgspec.json.format(msgspec.json.encode(document(operations)), indent=2) + b"\n"


def _types(operation: Operation) -> Iterable[Any]:
    yield from operation.path_types.values()
    if operation.query_type is not None:
        yield from (field.type for field in msgspec.structs.fields(operation.query_type))
    if operation.body_type is not None:
        yield operation.body_type
    yield from _answer(operation)


def _answer(operation: Operation) -> list[Any]:
    """The answer's type without `Raw`, which is how it travels inside the server only."""
    kind = operation.answer_type
    members = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return [member for member in members if member not in (Raw, Stream)]


def _entry(operation: Operation, by_type: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": _parameters(operation, by_type),
        "responses": _responses(operation, by_type),
    }
    if operation.roles is None:
        entry["security"] = []
    else:
        entry["security"] = [{"token": []}]
        entry["x-roles"] = [role for role in ROLES if role in operation.roles]
    if operation.body_type is not None:
        schema = by_type[repr(operation.body_type)]
        entry["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return entry


def _parameters(operation: Operation, by_type: dict[str, Any]) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": by_type[repr(kind)]}
        for name, kind in operation.path_types.items()
    ]
    if operation.query_type is not None:
        for field in msgspec.structs.fields(operation.query_type):
            schema = {**by_type[repr(field.type)], "default": field.default}
            found.append({"name": field.name, "in": "query", "required": False, "schema": schema})
    if Stream is operation.answer_type:
        found.append({"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"}})
    return found


def _responses(operation: Operation, by_type: dict[str, Any]) -> dict[str, Any]:
    answers = _answer(operation)
    if answers:
        content = {"application/json": {"schema": by_type[repr(answers[0])]}}
    elif Stream is operation.answer_type:
        content = {"text/event-stream": {"schema": {"type": "string"}}}
    else:
        content = {"application/json": {"schema": {"type": "object"}}}
    headers = {"Inkeeper-Generation": {"schema": {"type": "integer"}, "description": "The cluster's data generation"}}
    found: dict[str, Any] = {"200": {"description": "Done", "headers": headers, "content": content}}
    for status, codes in sorted(_problems(operation).items()):
        texts = "; ".join(f"`{code}`: {PROBLEMS[code][1]}" for code in codes)
        problem = {"application/problem+json": {"schema": by_type[repr(Problem)]}}
        found[str(status)] = {"description": texts, "content": problem}
    return found


def _problems(operation: Operation) -> dict[int, list[str]]:
    codes = {*operation.errors, *_EVERYWHERE}
    if operation.roles is not None:
        codes.update(_WITH_TOKEN)
    if operation.body_type is not None:
        codes.update(_WITH_BODY)
    elif operation.query_type is not None or operation.path_types:
        codes.add("invalid")
    found: dict[int, list[str]] = {}
    for code in PROBLEMS:
        if code in codes:
            found.setdefault(PROBLEMS[code][0], []).append(code)
    return found


if __name__ == "__main__":
    from backend.api.app import OPERATIONS

    sys.stdout.buffer.write(encoded(OPERATIONS))
