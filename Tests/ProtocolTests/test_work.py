"""Work under way: cancelled, refused when there is too much of it, in the order of its requests, the same each time."""

import time

import pytest

from asking import ends_well, request
from daemon import Failed, frame


@pytest.fixture
def evaluating(daemon):
    """A daemon that evaluates, for a while, under the id of `daemon.evaluation`."""
    daemon.call("model/load", {"source": "builtin:sapling"})
    text = {"path": "builtin:sapling/evaluation", "model": "sapling", "sequenceLength": 512, "name": "text"}
    daemon.call("dataset/load", text)
    params = {"model": "sapling", "dataset": "text", "workDoneToken": "t"}
    daemon.evaluation = daemon.request("evaluate/perplexity", params)
    while daemon.receive().get("method") != "$/progress":
        pass
    return daemon


def test_a_running_request_is_cancelled(evaluating):
    asked = time.monotonic()
    evaluating.notify("$/cancelRequest", {"id": evaluating.evaluation})
    answer = evaluating.answer(evaluating.evaluation)
    assert (answer["error"]["code"], answer["error"]["data"]) == (-32800, {"kind": "cancelled"})
    assert time.monotonic() - asked < 5
    ends_well(evaluating)


def test_shutdown_cancels_what_runs(evaluating):
    bye = evaluating.request("shutdown")
    codes = {}
    while len(codes) < 2:
        message = evaluating.receive()
        if "id" in message:
            codes[message["id"]] = message.get("error", {}).get("code")
    assert codes == {bye: None, evaluating.evaluation: -32800}
    evaluating.notify("exit", {})
    assert evaluating.exit_code() == 0


def test_end_of_input_cancels_what_runs(evaluating):
    evaluating.process.stdin.close()
    assert evaluating.exit_code() == 1


def test_the_same_id_twice(evaluating):
    """Nobody should; both are answered."""
    evaluating.send(request("twin"))
    evaluating.send(request("twin", "model/list"))
    assert {tuple(evaluating.answer("twin")["result"])[0] for _ in range(2)} == {"version", "models"}


def test_too_many_requests(evaluating):
    """What is beyond the limit is refused at once; all others are answered."""
    limit = evaluating.initialized["limits"]["requests"]
    data = b"".join(
        frame(request(f"e{number}", "evaluate/perplexity", params={"model": "sapling", "dataset": "text"}))
        for number in range(limit + 10)
    )
    evaluating.send_bytes(data)
    refused = [evaluating.answer(f"e{number}")["error"]["data"] for number in range(limit - 1, limit + 10)]
    assert refused == 11 * [{"kind": "tooManyRequests", "limit": limit, "retryAfterMs": 100, "module": "Server"}]
    bye = evaluating.request("shutdown")
    answered = set()
    while len(answered) < limit + 1:
        message = evaluating.receive()
        if "id" in message:
            answered.add(message["id"])
            assert message["id"] == bye or message["error"]["code"] == -32800
    evaluating.notify("exit", {})
    assert evaluating.exit_code() == 0


def test_requests_may_be_sent_in_one_go(daemon):
    """Each waits for what it needs of the one before."""
    text = {"path": "builtin:sapling/evaluation", "model": "m", "sequenceLength": 64, "sequences": 2, "name": "t"}
    wanted = [
        daemon.request("model/load", {"source": "builtin:sapling", "name": "m"}),
        daemon.request("dataset/load", text),
        daemon.request("evaluate/perplexity", {"model": "m", "dataset": "t"}),
        daemon.request("importance/score", {"model": "m", "plugin": "magnitude", "modules": ["*.q_proj.*"]}),
        daemon.request("mask/edit", {"model": "m", "edits": [{"op": "prune", "layer": 1, "heads": [0]}]}),
        daemon.request("mask/undo", {"model": "m"}),
        daemon.request("evaluate/perplexity", {"model": "m", "dataset": "t"}),
    ]
    found = {}
    while len(found) < len(wanted):
        message = daemon.receive()
        assert "error" not in message, message
        found[message["id"]] = message["result"]
    first, again = found[wanted[2]], found[wanted[-1]]
    assert first["revision"] == again["revision"] == "r0"
    assert first["perplexity"] == again["perplexity"]


def test_the_same_session_gives_the_same_bits(start):
    """Perplexities and scores to the last digit, in two daemons."""

    def session():
        daemon = start("--threads", 2)
        daemon.call("model/load", {"source": "builtin:sapling"})
        text = {"path": "builtin:sapling/calibration", "model": "sapling", "sequenceLength": 64, "sequences": 8}
        daemon.call("dataset/load", text)
        scoring = {"model": "sapling", "plugin": "wanda", "dataset": "d1", "modules": ["*.mlp.down_proj.*"]}
        scores = daemon.call("importance/score", scoring)
        daemon.call("mask/apply", {"model": "sapling", "scores": "s1", "sparsity": 0.5})
        evaluation = daemon.call("evaluate/perplexity", {"model": "sapling", "dataset": "d1"})
        return scores["tensors"], evaluation["perWindow"]

    assert session() == session()


def test_errors_leave_everything_as_it_was(daemon):
    daemon.call("model/load", {"source": "builtin:sapling"})
    before = daemon.call("model/describe", {"model": "sapling"})
    for method, params in [
        ("mask/apply", {"model": "sapling", "scores": "s9", "sparsity": 0.5}),
        ("mask/edit", {"model": "sapling", "edits": [{"op": "prune", "layer": 0, "heads": [99]}]}),
        ("mask/load", {"model": "sapling", "path": "/etc/hostname"}),
        ("prune/run", {"model": "sapling", "plugin": "wanda", "sparsity": 0.5}),
        ("model/load", {"source": "builtin:sapling"}),
        ("revision/checkout", {"model": "sapling", "target": "r5"}),
    ]:
        with pytest.raises(Failed):
            daemon.call(method, params)
    assert daemon.call("model/describe", {"model": "sapling"}) == before
