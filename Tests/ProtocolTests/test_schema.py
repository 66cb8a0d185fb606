"""The schemas say what the daemon takes and gives: no less, and no more."""

import pytest
from jsonschema import Draft202012Validator

import schemas
from schemas import problems, problems_for_a_client
from sessions import exchanges, notifications, tour_steps

# The daemon's own words for params that are not those of the method.
PARAM_KINDS = {"missingField", "wrongType", "outOfRange", "unknownField"}


@pytest.mark.parametrize("name", schemas.DOCUMENTS)
def test_schema_is_one(name):
    document = schemas.DOCUMENTS[name]
    assert document["$id"] == name
    Draft202012Validator.check_schema(document)
    for part in ("params", "result"):
        Draft202012Validator.check_schema(document.get(part, {}))


def test_requests_are_judged_as_the_daemon_judges_them():
    accepted = refused = 0
    for session, request, answer in exchanges():
        if request["method"] not in schemas.METHODS or request.get("jsonrpc") != "2.0":
            continue
        data = answer.get("error", {}).get("data", {})
        found = problems(request["method"], "params", request.get("params", {}))
        place = f"{session}: {request}"
        if data.get("kind") in PARAM_KINDS and not data["path"].startswith("params.parameters."):
            assert found, f"{place}\nwas refused ({answer['error']['message']}), but fits its schema"
            refused += 1
        elif answer.get("error", {}).get("code") != -32602:
            assert not found, f"{place}\nwas accepted, but does not fit its schema: {found}"
            accepted += 1
    assert accepted > 100 and refused > 5


def test_results_are_what_the_schemas_say():
    count = 0
    for session, request, answer in exchanges():
        if "result" in answer:
            found = problems(request["method"], "result", answer["result"])
            assert not found, f"{session}: the answer to {request} does not fit its schema: {found}"
            count += 1
    assert count > 100


def test_every_method_is_called():
    called = {step.method for step in tour_steps() if "result" in step.answer}
    assert called == set(schemas.METHODS)


def test_every_member_of_a_result_is_seen():
    """A member that no session ever shows may as well not exist."""
    seen = {}
    for _, request, answer in exchanges():
        if isinstance(answer.get("result"), dict):
            seen.setdefault(request["method"], set()).update(answer["result"])
    for method, name in schemas.METHODS.items():
        named = set(schemas.DOCUMENTS[name]["result"].get("properties", {}))
        assert seen.get(method, set()) == named, method


def test_a_wrong_message_fails():
    """The validation itself: of every result each member is left out, of another type, and accompanied in turn."""
    tried = 0
    for step in {step.method: step for step in reversed(tour_steps())}.values():
        result = step.answer["result"]
        if result is None:
            assert problems(step.method, "result", {}), step.method
            continue
        for change in _changes(result):
            assert problems(step.method, "result", change), f"{step.method} lets {str(change)[:300]} pass"
            tried += 1
        stranger = {**result, "somethingNew": 1}
        assert problems(step.method, "result", stranger)
        assert not problems_for_a_client(step.method, "result", stranger), "clients ignore what they do not know"
        if step.method != "initialize":
            assert problems(step.method, "params", {**(step.params or {}), "somethingElse": 1})
        for name in step.params or {}:
            assert name in ANYTHING or problems(step.method, "params", {**step.params, name: {"not": None}})
    assert tried > 200


# Members that may be any object as far as a schema can tell, and what LSP lets clients say of themselves.
ANYTHING = {"parameters", "configuration", "clientInfo", "capabilities"}


def _changes(result):
    for name, value in result.items():
        if name != "perWindow":  # left out on request
            yield {other: member for other, member in result.items() if other != name}
        if name not in ANYTHING:
            yield {**result, name: {"not": None}}
        yield {**result, name: "neither" if not isinstance(value, str) else 5}


def test_tokens_are_allowed():
    for step in tour_steps():
        if step.method in ("initialize", "shutdown"):
            continue
        with_tokens = {**(step.params or {}), "workDoneToken": "t", "partialResultToken": 7}
        assert not problems(step.method, "params", with_tokens)
        assert problems(step.method, "params", {**with_tokens, "workDoneToken": 1.5})


def test_notifications_have_their_shapes():
    kinds = set()
    for message in notifications():
        assert message.keys() == {"jsonrpc", "method", "params"}
        params = message["params"]
        if message["method"] == "$/logTrace":
            assert params.keys() <= {"message", "verbose"} and "message" in params
            kinds.add("trace")
            continue
        if message["method"] == "window/logMessage":
            assert params.keys() == {"type", "message"} and params["type"] in (1, 2, 3, 4)
            kinds.add("log")
            continue
        assert message["method"] == "$/progress" and params.keys() == {"token", "value"}
        value = params["value"]
        if "points" in value:
            assert value.keys() == {"sensitivity", "points"} and value["points"]
            for point in value["points"]:
                assert point.keys() == {"layer", "sparsity", "loss", "perplexity", "deltaLoss"}
            kinds.add("partial points")
            continue
        if "kind" not in value:
            assert value.keys() == {"text", "tokens", "index"} and value["text"] and value["tokens"]
            kinds.add("partial result")
            continue
        kinds.add(value["kind"])
        expected = {
            "begin": {"kind", "title", "cancellable", "percentage"},
            "report": {"kind", "percentage", "message"},
            "end": {"kind", "message"},
        }[value["kind"]]
        assert value.keys() == expected
        assert 0 <= value.get("percentage", 0) <= 100
    assert kinds == {"log", "trace", "begin", "report", "end", "partial result", "partial points"}
