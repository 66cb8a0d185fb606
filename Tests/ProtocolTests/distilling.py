"""What tests of distillation runs share: a pruned model with a text, a run of it, and questions about that run."""

import time

TEXT = {"path": "builtin:sapling/calibration", "model": "m", "sequenceLength": 32, "sequences": 24, "name": "text"}
RUN = {"student": {"model": "m"}, "dataset": "text", "objectives": [{"plugin": "forward-kl"}], "steps": 100_000,
       "batch": 2, "accumulation": 1, "schedule": {"warmupSteps": 1}}
SUMS = {"path": "builtin:arithmetic", "model": "m", "sequenceLength": 16, "name": "sums", "task": {"count": 8}}


def prepare(daemon):
    daemon.call("model/load", {"source": "builtin:sapling", "name": "m"})
    daemon.call("dataset/load", TEXT)
    daemon.call("mask/edit", {"model": "m", "edits": [{"op": "prune", "layer": 0, "heads": [0]}]})
    return daemon


def status(daemon, run, history=0):
    (found,) = daemon.call("distill/status", {"run": run, "history": history})["runs"]
    return found


def progress(daemon, run, timeout=60):
    """Waits for the next step of a run that goes by itself, and returns it."""
    deadline = time.monotonic() + timeout
    while True:
        message = daemon.receive(max(0.001, deadline - time.monotonic()))
        if message.get("method") == "distill/progress" and message["params"]["run"] == run:
            return message["params"]


def kind(daemon, method, params):
    error = daemon.error(method, params)
    assert error["message"]
    return error["data"]["kind"]
