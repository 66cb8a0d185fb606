"""Distillation runs from outside: those that go by themselves yield to others, pause, stop and take turns; what steps
find is told."""

import json
import time

import pytest

from asking import ends_well
from distilling import RUN, SUMS, TEXT, kind, progress, status


def test_others_come_first(runs):
    """Requests, heavy and light, sent in one go while a run goes by itself: all are answered, and it goes on."""
    runs.call("dataset/load", {**TEXT, "sequenceLength": 512, "sequences": 4, "name": "long"})
    runs.call("distill/start", {**RUN, "name": "r"})
    assert runs.call("distill/resume", {"run": "r"})["state"] == "running"
    before = progress(runs, "r")["metrics"]["step"]
    for _ in range(3):
        evaluation = runs.request("evaluate/perplexity", {"model": "m", "dataset": "long"})
        light = [runs.request("server/status"), runs.request("distill/status"), runs.request("model/list")]
        for request in light:
            assert "result" in runs.answer(request), "small answers do not wait for the evaluation"
        assert "result" in runs.answer(evaluation)
    while progress(runs, "r")["metrics"]["step"] <= before:
        pass
    assert runs.call("distill/stop", {"run": "r"})["run"] == "r"
    ends_well(runs)


def test_the_lane_is_left_between_steps(runs):
    """Of a run with long steps at most the one under way lies between a request and its answer."""
    runs.call("distill/start", {**RUN, "name": "r", "batch": 4})
    runs.call("distill/resume", {"run": "r"})
    progress(runs, "r")
    for _ in range(5):
        steps = status(runs, "r")["step"]
        runs.call("evaluate/perplexity", {"model": "m", "dataset": "text"})
        found = status(runs, "r")["step"]
        # The one under way when it was asked, and one that may have begun before the status was.
        assert found - steps <= 2
    ends_well(runs)


def test_pause_is_soon(runs):
    """At most the step under way is taken after a pause; then none, until it is resumed."""
    runs.call("distill/start", {**RUN, "name": "r"})
    runs.call("distill/resume", {"run": "r"})
    for _ in range(5):
        progress(runs, "r")
        first = runs.request("distill/status", {"run": "r"})
        second = runs.request("distill/pause", {"run": "r"})
        seen, paused = runs.answer(first)["result"]["runs"][0], runs.answer(second)["result"]
        assert paused["state"] == "waiting" and paused["step"] - seen["step"] <= 2
        time.sleep(0.2)
        assert status(runs, "r")["step"] == paused["step"]
        assert runs.call("distill/step", {"run": "r", "steps": 2})["step"] == paused["step"] + 2
        assert runs.call("distill/resume", {"run": "r"})["state"] == "running"
    ends_well(runs)


def test_resume_until_a_step(runs):
    runs.call("distill/start", {**RUN, "name": "r", "steps": 9})
    runs.call("distill/resume", {"run": "r", "untilStep": 4})
    while (last := progress(runs, "r"))["metrics"]["step"] < 4:
        assert last["state"] == "running"
    assert last["state"] == "waiting" and status(runs, "r")["step"] == 4
    assert kind(runs, "distill/resume", {"run": "r", "untilStep": 4}) == "runStepBehind"
    runs.call("distill/resume", {"run": "r"})
    while progress(runs, "r")["state"] != "finished":
        pass
    found = status(runs, "r", history=100)
    assert (found["step"], found["state"]) == (9, "finished")
    assert [step["step"] for step in found["history"]] == list(range(1, 10))
    assert kind(runs, "distill/step", {"run": "r"}) == "runFinished"
    assert kind(runs, "distill/resume", {"run": "r"}) == "runFinished"
    ends_well(runs)


def test_stop_ends_it(runs):
    runs.call("distill/start", {**RUN, "name": "r"})
    runs.call("distill/resume", {"run": "r"})
    progress(runs, "r")
    runs.call("distill/stop", {"run": "r"})
    assert runs.call("distill/status")["runs"] == []
    for method in ("step", "pause", "resume", "fork", "commit", "stop"):
        assert kind(runs, f"distill/{method}", {"run": "r"}) == "runNotFound"
    # The name is free again.
    assert runs.call("distill/start", {**RUN, "name": "r"})["step"] == 0
    ends_well(runs)


def test_two_runs_take_turns(runs):
    for name in ("one", "two"):
        runs.call("distill/start", {**RUN, "name": name, "steps": 12})
    for name in ("one", "two"):
        runs.call("distill/resume", {"run": name})
    while any(found["state"] == "running" for found in runs.call("distill/status")["runs"]):
        one, two = (found["step"] for found in runs.call("distill/status")["runs"])
        # The first had a head start of a few steps before the second was resumed.
        assert one - two <= 8 and two - one <= 2
        time.sleep(0.02)
    one, two = (status(runs, name, history=12)["history"] for name in ("one", "two"))
    assert [step["loss"] for step in one] == [step["loss"] for step in two]
    assert len(one) == 12
    ends_well(runs)


def test_turns_give_the_bits_of_a_run_alone(runs):
    """Whoever steps, and whatever comes between, a run gives the same losses."""
    runs.call("distill/start", {**RUN, "name": "alone", "steps": 8})
    runs.call("distill/step", {"run": "alone", "steps": 8})
    runs.call("distill/start", {**RUN, "name": "other", "steps": 8})
    runs.call("distill/resume", {"run": "other", "untilStep": 3})
    while status(runs, "other")["state"] == "running":
        runs.call("evaluate/perplexity", {"model": "m", "dataset": "text"})
    runs.call("distill/fork", {"run": "other", "name": "fork"})
    for name in ("fork", "other"):
        for _ in range(5):
            runs.call("distill/step", {"run": name})
    losses = {name: [step["loss"] for step in status(runs, name, history=8)["history"]]
              for name in ("alone", "other", "fork")}
    assert losses["alone"] == losses["other"] == losses["fork"] and len(set(losses["alone"])) == 8
    assert status(runs, "fork")["forkedFrom"] == {"run": "other", "step": 3}
    ends_well(runs)


def test_a_long_step_is_cancelled(runs):
    """Within a step: 512 micro-batches of it take seconds. Nothing has changed, and the next one counts as the first."""
    runs.call("distill/start", {**RUN, "name": "r", "accumulation": 512, "batch": 4})
    step = runs.request("distill/step", {"run": "r"})
    time.sleep(0.3)
    runs.notify("$/cancelRequest", {"id": step})
    error = runs.answer(step)["error"]
    assert (error["code"], error["data"]["kind"]) == (-32800, "cancelled")
    found = status(runs, "r", history=10)
    assert (found["step"], found["state"], found["history"], found["failure"]) == (0, "waiting", [], None)
    # The same of many steps: those that were taken count.
    runs.call("distill/start", {**RUN, "name": "many"})
    steps = runs.request("distill/step", {"run": "many", "steps": 100_000, "partialResultToken": "p"})
    while runs.receive().get("params", {}).get("token") != "p":
        pass
    runs.notify("$/cancelRequest", {"id": steps})
    assert runs.answer(steps)["error"]["data"]["kind"] == "cancelled"
    taken = status(runs, "many", history=10_000)
    assert taken["step"] >= 1 and len(taken["history"]) == min(10_000, taken["step"])
    assert runs.call("distill/step", {"run": "many"})["step"] == taken["step"] + 1
    ends_well(runs)


def test_stop_within_a_step(runs):
    runs.call("distill/start", {**RUN, "name": "r", "accumulation": 512, "batch": 4})
    runs.call("distill/resume", {"run": "r"})
    time.sleep(0.3)
    assert runs.call("distill/stop", {"run": "r"})["step"] == 0
    ends_well(runs)


def test_names_that_are_taken(runs, tmp_path):
    runs.call("distill/start", {**RUN, "name": "r"})
    runs.call("distill/save", {"run": "r", "path": str(tmp_path / "saved")})
    assert kind(runs, "distill/start", {**RUN, "name": "r"}) == "runExists"
    assert kind(runs, "distill/fork", {"run": "r", "name": "r"}) == "runExists"
    assert kind(runs, "distill/load", {"path": str(tmp_path / "saved"), "name": "r"}) == "runExists"
    names = [runs.call("distill/fork", {"run": "r"})["run"] for _ in range(2)]
    assert len({"r", *names}) == 3
    # Sent in one go: one of them gets the name.
    both = [runs.request("distill/start", {**RUN, "name": "new"}) for _ in range(2)]
    answers = [runs.answer(request) for request in both]
    assert [("result" in answer) for answer in answers] == [True, False]
    assert answers[1]["error"]["data"]["kind"] == "runExists"
    ends_well(runs)


def test_stop_ends_the_steps_of_a_request(runs):
    """A request for many steps is given up within one when its run is stopped."""
    runs.call("distill/start", {**RUN, "name": "r"})
    steps = runs.request("distill/step", {"run": "r", "steps": 50_000})
    runs.call("distill/status", {"run": "r"})
    time.sleep(0.5)
    stop = runs.request("distill/stop", {"run": "r"})
    assert runs.answer(steps)["error"]["data"]["kind"] == "cancelled"
    assert runs.answer(stop)["result"]["step"] < 50_000
    assert kind(runs, "distill/step", {"run": "r"}) == "runNotFound"
    ends_well(runs)


def test_validations(runs, tmp_path):
    """Before the first step, every so many, behind the last: as evaluate/* find the commit, and in the logs."""
    runs.call("dataset/load", SUMS)
    params = {**RUN, "name": "r", "steps": 3, "log": str(tmp_path), "validation": {"dataset": "sums", "everySteps": 2}}
    runs.call("distill/start", params)
    for _ in range(3):
        runs.call("distill/step", {"run": "r"})
    found = [v for step in status(runs, "r", history=3)["history"] for v in step["validations"]]
    assert [v["step"] for v in found] == [0, 2, 3]
    assert all(v["ownTextShare"] is None for v in found)
    revision = runs.call("distill/commit", {"run": "r"})["revision"]
    judged = runs.call("evaluate/divergence", {
        "model": "m", "revision": revision, "reference": {"model": "m", "revision": "r0"}, "dataset": "sums"})
    for name in ("perplexity", "meanKL", "sameTopToken"):
        assert found[-1][name] == pytest.approx(judged[name], rel=1e-9), name
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], "loss" in line, line.get("validation/meanKL")) for line in lines] == [
        (0, False, found[0]["meanKL"]), (1, True, None), (2, True, found[1]["meanKL"]), (3, True, found[2]["meanKL"])]
    assert kind(runs, "distill/start", {**RUN, "onPolicy": {"adaptive": {}}}) == "missingField"
    both = {"onPolicy": {}, "policy": {"rewards": [{"plugin": "length"}]}}
    assert kind(runs, "distill/start", {**RUN, **both}) == "outOfRange"
    assert kind(runs, "distill/start", {**RUN, "validation": {"dataset": "none"}}) == "datasetNotFound"
    ends_well(runs)


def test_validations_give_way(runs):
    """One that takes seconds is left for a request, and begun again; but a busy client does not hold the run up."""
    runs.call("dataset/load", {**TEXT, "name": "long", "sequences": 1000, "sampling": "random", "seed": 1})
    runs.call("distill/start", {**RUN, "name": "r", "steps": 9, "validation": {"dataset": "long", "everySteps": 9}})
    reached = []
    while not reached or (reached[-1] == 0 and len(reached) < 100):
        runs.call("distill/resume", {"run": "r"})
        reached.append(runs.call("distill/pause", {"run": "r"})["step"])
    assert reached[0] == 0 and reached[-1] > 0 and len(reached) > 3, reached
    first = status(runs, "r", history=9)["history"][0]
    assert [v["step"] for v in first["validations"]] == [0]
    ends_well(runs)


def test_steps_that_teach_nothing(runs):
    """Groups of equal rewards are left out: of such a step there is nothing to learn, and the run goes on."""
    runs.call("dataset/load", SUMS)
    policy = {"rewards": [{"plugin": "length", "parameters": {"form": "target", "target": 1}}], "prompts": 2,
              "completions": 2, "maxTokens": 1, "dropEqualPrompts": True}
    runs.call("distill/start", {"student": {"model": "m"}, "dataset": "sums", "policy": policy, "name": "r"})
    found = runs.call("distill/step", {"run": "r", "steps": 3})
    assert (found["step"], found["state"], found["metrics"]["loss"]) == (3, "waiting", 0)
    assert found["metrics"]["rewards"]["equalPrompts"] == 1 and found["metrics"]["gradientNorm"] < 1e-3
    assert [diagnostic["kind"] for diagnostic in found["diagnostics"]] == ["rewardsEqual"]
    ends_well(runs)


def test_what_steps_find_is_told(runs):
    """A run that goes by itself says what it found, once."""
    runs.call("distill/start", {**RUN, "name": "r", "steps": 3, "validation": {"dataset": "text", "everySteps": 1}})
    runs.call("distill/resume", {"run": "r"})
    said = []
    while (message := runs.receive(60)).get("params", {}).get("state") != "finished":
        said.append(message)
    runs.call("server/status")
    said = [m["params"]["message"] for m in said if m.get("method") == "window/logMessage"]
    assert len([message for message in said if "very text that it is taught" in message]) == 1
    ends_well(runs)


def test_a_student_that_cannot_be_validated(runs):
    """The step that drives the weights out of range is taken, and answered as taken; the validation behind it fails, and
    comes first when another step is asked for."""
    runs.call("distill/start", {
        **RUN, "name": "r", "steps": 60, "validation": {"dataset": "text", "everySteps": 1}, "explosion": 0,
        "optimizer": {"weightDecay": 10}, "schedule": {"learningRate": 10, "shape": "constant", "warmupSteps": 0}})
    found = runs.call("distill/step", {"run": "r", "steps": 60})
    assert found["state"] == "failed" and 1 <= found["step"] == found["taken"] == found["metrics"]["step"] < 60
    assert found["metrics"]["validations"] == []
    assert ("error", "stepNotValidated") in [(d["severity"], d["kind"]) for d in found["diagnostics"]]
    assert kind(runs, "distill/step", {"run": "r"}) == found["failure"]["kind"] == "nonFiniteLoss"
    assert status(runs, "r")["step"] == found["step"]
    ends_well(runs)


def test_recipes_tell_the_curve_of_a_lesson(runs):
    """Every validation of a stage is in its answer: before the first step, after each second one, after the last."""
    lesson = {"dataset": "text", "steps": 3, "batch": 2, "validation": {"dataset": "text", "everySteps": 2}}
    stages = [{"prune": {"plugin": "magnitude", "sparsity": 0.5}}, {"teach": lesson}]
    pruned, taught = runs.call("distill/recipe", {"model": "m", "stages": stages})["stages"]
    assert pruned["validations"] == [] and pruned["metrics"] is None
    assert [found["step"] for found in taught["validations"]] == [0, 2, 3]
    assert taught["validations"][-1] == taught["metrics"]["validations"][-1]
    ends_well(runs)


def test_recipes_find_faults_first(runs, tmp_path):
    """A lesson that cannot be given is found before anything is pruned."""
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "1+1="}\n')
    before = runs.call("model/describe", {"model": "m"})["revision"]
    runs.call("dataset/load", {
        "path": str(tmp_path / "prompts.jsonl"), "model": "m", "sequenceLength": 16, "name": "prompts"})
    prune = {"prune": {"plugin": "magnitude", "sparsity": 0.5}}
    for lesson, expected in [
        ({"objectives": ["forward-kl", {"plugin": "hidden-mse", "layers": [[99, 99]]}]}, "planInvalid"),
        ({"onPolicy": {"adaptive": {"memory": 1}}, "validation": {"dataset": "text"}, "batch": 2}, "planInvalid"),
        ({"dataset": "prompts"}, "nothingPredicted"),
    ]:
        stages = [prune, {"teach": {"dataset": "text", "steps": 1, **lesson}}]
        assert kind(runs, "distill/recipe", {"model": "m", "stages": stages}) == expected, lesson
        assert runs.call("model/describe", {"model": "m"})["revision"] == before
    ends_well(runs)
