"""The API's page: what its OpenAPI document says, for people, without a script or anything from elsewhere."""

from typing import Any

from brainmri.core.labels import NOT_CLINICAL
from brainmri.reporting.documents import Block, Heading, Table, Text, as_html


def page(document: dict[str, Any]) -> str:
    """Return an HTML page on the operations of an OpenAPI document."""
    info = document["info"]
    blocks: list[Block] = [
        Heading(info["title"], 1),
        Text(f"{NOT_CLINICAL}.", strong=True),
        Text(info["description"]),
        Text(
            "To try it in a browser: `/docs`. For programs: `/openapi.json`. By hand: `curl -F file=@scan.png 'http://127.0.0.1:8000/predict'`"
        ),
    ]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            blocks += _operation(f"{method.upper()} {path}", operation)
    for name, schema in document["components"]["schemas"].items():
        if not name.startswith("Body_"):
            rows = [[key, _kind(part), part.get("description", "")] for key, part in schema["properties"].items()]
            blocks += [Heading(name), Text(schema.get("description", "")), Table(name, ["Field", "Type", "What"], rows)]
    return as_html(blocks)


def _operation(title: str, operation: dict[str, Any]) -> list[Block]:
    blocks: list[Block] = [Heading(title), Text(operation["description"])]
    if "requestBody" in operation:
        blocks.append(Text("The scan is sent as the field `file` of a form (`multipart/form-data`)."))
    if rows := [_parameter(part) for part in operation.get("parameters", [])]:
        blocks.append(Table(f"In the address of {title}", ["Name", "Values", "At first", "What"], rows))
    answers = [[code, found["description"]] for code, found in operation["responses"].items()]
    return [*blocks, Table(f"Answers to {title}", ["Status", "What"], answers)]


def _parameter(part: dict[str, Any]) -> list[str]:
    schema = part["schema"]
    values = ", ".join(schema.get("enum", [])) or schema.get("type", "")
    return [part["name"], values, str(schema.get("default", "")).lower(), part.get("description", "")]


def _kind(part: dict[str, Any]) -> str:
    kinds = [one.get("type", "") for one in part.get("anyOf", [part])]
    return " or ".join(kinds)
