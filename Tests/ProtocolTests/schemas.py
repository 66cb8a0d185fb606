"""The schemas of protocol/schema, open as they are published and closed as the tests want them."""

import json

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from daemon import ROOT

FOLDER = ROOT / "protocol" / "schema"
DOCUMENTS = {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
METHODS = {schema["title"]: name for name, schema in DOCUMENTS.items() if name != "common.json"}


def closed(schema):
    """The schema with no room for members that it does not name. Clients must live with such members; that the
    daemon sends some that no document names is a mistake of ours."""
    if isinstance(schema, list):
        return [closed(element) for element in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(value) for key, value in schema.items()}
    if "properties" in schema and schema.get("type") == "object":
        result.setdefault("additionalProperties", False)
    return result


def _registry(documents):
    return Registry().with_resources(
        (name, Resource.from_contents(document, default_specification=DRAFT202012))
        for name, document in documents.items()
    )


_OPEN = _registry(DOCUMENTS)
_CLOSED = _registry({name: closed(document) for name, document in DOCUMENTS.items()})


def problems(method, part, value, registry=_CLOSED):
    """What is wrong with the "params" or the "result" of a method, in words; empty if nothing is."""
    validator = Draft202012Validator({"$ref": f"{METHODS[method]}#/{part}"}, registry=registry)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def problems_for_a_client(method, part, value):
    """The same by the schemas as they are published."""
    return problems(method, part, value, _OPEN)
