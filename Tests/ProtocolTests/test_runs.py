"""Distillation runs from outside: those that go by themselves yield to others, pause, stop, take turns; what is on disk
when the daemon is killed is whole; folders that hold no run are refused."""

import json
import random
import shutil
import time

import pytest

from asking import ends_well
from daemon import Failed

TEXT = {"path": "builtin:sapling/calibration", "model": "m", "sequenceLength": 32, "sequences": 24, "name": "text"}
RUN = {"student": {"model": "m"}, "dataset": "text", "objectives": [{"plugin": "forward-kl"}], "steps": 100_000,
       "batch": 2, "accumulation": 1, "schedule": {"warmupSteps": 1}}


def prepare(daemon):
    daemon.call("model/load", {"source": "builtin:sapling", "name": "m"})
    daemon.call("dataset/load", TEXT)
    daemon.call("mask/edit", {"model": "m", "edits": [{"op": "prune", "layer": 0, "heads": [0]}]})
    return daemon


@pytest.fixture
def runs(daemon):
    """A daemon with a pruned model and a text."""
    return prepare(daemon)


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


# --- Runs that go by themselves ------------------------------------------------------------------


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


# --- Names, models, what is none -----------------------------------------------------------------


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


def test_runs_outlive_their_models(runs, tmp_path):
    """A run holds what it needs: it goes on without its model's and its data's names, and can be saved."""
    runs.call("distill/start", {**RUN, "name": "r"})
    runs.call("distill/step", {"run": "r"})
    runs.call("distill/fork", {"run": "r", "name": "other"})
    expected = runs.call("distill/step", {"run": "other"})["metrics"]["loss"]
    runs.call("dataset/unload", {"dataset": "text"})
    runs.call("model/unload", {"model": "m"})
    assert runs.call("distill/step", {"run": "r"})["metrics"]["loss"] == expected
    runs.call("distill/save", {"run": "r", "path": str(tmp_path / "saved")})
    assert kind(runs, "distill/commit", {"run": "r"}) == "modelNotFound"  # nobody could find the revision
    assert kind(runs, "distill/start", {**RUN, "name": "x"}) == "modelNotFound"
    assert kind(runs, "distill/load", {"path": str(tmp_path / "saved")}) in ("modelNotFound", "datasetNotFound")
    ends_well(runs)


def test_loading_what_is_no_run(runs, tmp_path):
    runs.call("distill/start", {**RUN, "name": "r"})
    runs.call("distill/step", {"run": "r", "steps": 2})
    good = tmp_path / "good"
    runs.call("distill/save", {"run": "r", "path": str(good)})
    assert runs.call("distill/load", {"path": str(good), "name": "again"})["step"] == 2
    count = len(runs.call("distill/status")["runs"])
    files = {file.name: file.read_bytes() for file in good.iterdir()}
    assert set(files) == {"training.safetensors", "state.json", "DONE"}

    def broken(change):
        folder = tmp_path / "broken"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(good, folder)
        change(folder)
        return kind(runs, "distill/load", {"path": str(folder), "name": "x"})

    state = json.loads(files["state.json"])
    assert state["student"]["revision"] == runs.call("distill/status")["runs"][0]["student"]["revision"]
    whole = files["training.safetensors"]

    def put(name, data):
        return lambda folder: (folder / name).write_bytes(data)

    def states(**members):
        return put("state.json", json.dumps({**state, **members}).encode())

    assert kind(runs, "distill/load", {"path": str(tmp_path / "nowhere")}) == "fileNotFound"
    assert kind(runs, "distill/load", {"path": str(good / "DONE")}) == "fileSystem"
    (tmp_path / "empty").mkdir()
    assert kind(runs, "distill/load", {"path": str(tmp_path / "empty")}) == "trainingStateMismatch"
    assert broken(lambda folder: (folder / "DONE").unlink()) == "trainingStateMismatch"
    assert broken(lambda folder: (folder / "training.safetensors").unlink()) == "fileNotFound"
    assert broken(lambda folder: (folder / "state.json").unlink()) == "fileNotFound"
    assert broken(put("state.json", b"")) == broken(put("state.json", b"{"))
    assert broken(put("state.json", b"[]")) == broken(put("state.json", b"\xff"))
    for length in (0, 7, 100, len(whole) // 2, len(whole) - 1):
        assert broken(put("training.safetensors", whole[:length])) == "invalidSafetensors"
    assert broken(states(steps=-1)) == "outOfRange"
    assert broken(states(unheard="of")) == "unknownField"
    assert broken(states(student={"model": "nobody"})) == "modelNotFound"
    assert broken(states(dataset="nothing")) == "datasetNotFound"
    assert broken(states(optimizer={"beta1": 0.5})) == "trainingStateMismatch"
    other = {**state, "objectives": [{"plugin": "contrastive-memory", "parameters": {"bank": 4}}]}
    assert broken(put("state.json", json.dumps(other).encode())) == "trainingStateMismatch"
    # What would go on with other numbers is told from what was written: one bit, a hand-made change, another teacher.
    noise = random.Random(3)
    for place in [noise.randrange(8, 4000) for _ in range(10)] + [noise.randrange(len(whole)) for _ in range(10)]:
        data = whole[:place] + bytes([whole[place] ^ (1 << noise.randrange(8))]) + whole[place + 1:]
        assert kind(runs, "distill/load", {"path": str(_written(tmp_path / "flipped", files, data))}), place
    assert broken(states(schedule={"learningRate": 0.5})) == "trainingStateMismatch"
    pruned = runs.call("mask/edit", {"model": "m", "edits": [{"op": "prune", "layer": 0, "heads": [0]}]})["revision"]
    teacher = {"model": "m", "revision": pruned}
    assert kind(runs, "distill/load", {"path": str(good), "teacher": teacher}) == "trainingStateMismatch"
    assert len(runs.call("distill/status")["runs"]) == count
    ends_well(runs)


def _written(folder, files, training):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in {**files, "training.safetensors": training}.items():
        (folder / name).write_bytes(data)
    return folder


SUMS = {"path": "builtin:arithmetic", "model": "m", "sequenceLength": 16, "name": "sums", "task": {"count": 8}}
CARRIED = {
    "rewards": {
        "objectives": None, "dataset": "sums",
        "policy": {"rewards": ["exact-match", {"plugin": "length", "parameters": {"form": "target", "target": 2}}],
                   "prompts": 2, "completions": 4, "maxTokens": 6, "iterations": 2, "divergenceWeight": 0.05}},
    "own text": {"onPolicy": {"fraction": 0.7, "promptTokens": 6, "maxTokens": 9}, "explosion": 0},
    "adaptive": {"onPolicy": {"fraction": 0.6, "promptTokens": 6, "maxTokens": 9, "adaptive": {"tolerance": 0, "memory": 4}},
                 "validation": {"dataset": "sums", "everySteps": 2}, "explosion": 0},
    "memory": {"objectives": ["forward-kl", {"plugin": "contrastive-memory", "parameters": {"bank": 7}}]},
}


@pytest.mark.parametrize("what", CARRIED)
def test_loaded_runs_go_on(start, tmp_path, what):
    """Saved in one daemon, loaded in another, beside the run that never stopped."""
    params = {key: value for key, value in {**RUN, **CARRIED[what], "steps": 8}.items() if value is not None}
    first = prepare(start())
    first.call("dataset/load", SUMS)
    first.call("distill/start", {**params, "name": "r"})
    first.call("distill/step", {"run": "r", "steps": 3})
    first.call("distill/save", {"run": "r", "path": str(tmp_path / "saved")})
    first.call("distill/step", {"run": "r", "steps": 3})
    losses = [step["loss"] for step in status(first, "r", history=6)["history"]]
    first.__exit__()

    second = prepare(start())
    second.call("dataset/load", SUMS)
    assert second.call("distill/load", {"path": str(tmp_path / "saved"), "name": "r"})["step"] == 3
    second.call("distill/step", {"run": "r", "steps": 3})
    found = status(second, "r", history=10)["history"]
    assert [step["step"] for step in found] == [4, 5, 6]
    assert [step["loss"] for step in found] == losses[3:] and len(set(losses)) == 6
    ends_well(second)


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


def test_a_save_replaces_runs_only(runs, tmp_path):
    runs.call("distill/start", {**RUN, "name": "r"})
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")
    assert kind(runs, "distill/save", {"run": "r", "path": str(mine)}) == "pathTaken"
    assert [path.name for path in mine.iterdir()] == ["letter.txt"]
    for _ in range(2):
        runs.call("distill/save", {"run": "r", "path": str(tmp_path / "run")})
    ends_well(runs)


def test_checkpoints_of_another_run_stay(runs, tmp_path):
    """A run that is started again instead of loaded does not remove what it might have gone on from."""
    params = {**RUN, "checkpoint": {"path": str(tmp_path / "runs"), "everySteps": 1}}
    runs.call("distill/start", {**params, "name": "r"})
    runs.call("distill/step", {"run": "r", "steps": 2})
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert kind(runs, "distill/start", {**params, "name": "again"}) == "pathTaken"
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == names
    runs.call("distill/stop", {"run": "r"})
    assert runs.call("distill/load", {"path": str(tmp_path / "runs"), "name": "r"})["step"] == 2
    runs.call("distill/step", {"run": "r"})
    ends_well(runs)


def test_a_copy_writes_elsewhere(runs, tmp_path):
    """A run that was saved goes on beside the one that it was saved from, each with files of its own."""
    runs.call("distill/start", {**RUN, "name": "r", "log": str(tmp_path / "log")})
    runs.call("distill/save", {"run": "r", "path": str(tmp_path / "saved")})
    copy = {"path": str(tmp_path / "saved"), "name": "copy"}
    assert kind(runs, "distill/load", copy) == "fileLocked"
    assert kind(runs, "distill/load", {**copy, "log": 1}) == "wrongType"
    assert kind(runs, "distill/load", {**copy, "checkpoint": {"path": "x", "keep": 0}}) == "outOfRange"
    runs.call("distill/load", {
        **copy, "log": str(tmp_path / "other"), "checkpoint": {"path": str(tmp_path / "kept"), "everySteps": 1}})
    for run in ("r", "copy", "copy"):
        runs.call("distill/step", {"run": run})
    lines = {name: (tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("log", "other")}
    assert (len(lines["log"]), len(lines["other"])) == (1, 2)
    assert json.loads(lines["log"][0])["loss"] == json.loads(lines["other"][0])["loss"]
    assert runs.call("distill/load", {"path": str(tmp_path / "kept"), "name": "third", "log": str(tmp_path / "third")})["step"] == 2
    ends_well(runs)


def test_steps_that_cannot_be_written_down(runs, tmp_path):
    """Taken they are all the same; the request ends there, the run waits, and goes on when the disk does."""
    folder = tmp_path / "runs"
    runs.call("distill/start", {**RUN, "name": "r", "checkpoint": {"path": str(folder), "everySteps": 1}})
    shutil.rmtree(folder)
    folder.write_text("a file where the folder was")
    found = runs.call("distill/step", {"run": "r", "steps": 3})
    assert (found["step"], found["taken"], found["state"]) == (1, 1, "failed")
    assert [(d["severity"], d["kind"]) for d in found["diagnostics"]] == [("error", "stepNotKept")]
    assert found["failure"]["kind"] and found["metrics"]["step"] == 1
    folder.unlink()
    folder.mkdir()
    found = runs.call("distill/step", {"run": "r", "steps": 2})
    assert (found["step"], found["state"], found["failure"], found["diagnostics"]) == (3, "waiting", None, [])
    assert runs.call("distill/load", {"path": str(folder), "name": "again"})["step"] == 3
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


# --- Killed daemons ------------------------------------------------------------------------------


def test_killed_at_any_moment(start, tmp_path):
    """With a checkpoint after every step. Whenever the daemon dies, the newest checkpoint is whole and goes on with the
    losses of a run that nobody killed; metrics.jsonl has whole lines, one for each step."""
    straight = prepare(start())
    straight.call("distill/start", {**RUN, "name": "r"})
    straight.call("distill/step", {"run": "r", "steps": 60})
    losses = [step["loss"] for step in status(straight, "r", history=60)["history"]]
    straight.__exit__()

    checkpoints, log = tmp_path / "checkpoints", tmp_path / "log"
    params = {**RUN, "name": "r", "log": str(log), "checkpoint": {"path": str(checkpoints), "everySteps": 1, "keep": 2}}
    moments, reached = random.Random(7), 0
    for attempt in range(6):
        daemon = prepare(start())
        if reached == 0:
            daemon.call("distill/start", params)
        else:
            loaded = daemon.call("distill/load", {"path": str(checkpoints), "name": "r"})
            assert loaded["step"] >= reached, "a checkpoint is there before its step is told"
            reached = loaded["step"]
        daemon.call("distill/resume", {"run": "r"})
        for _ in range(moments.randrange(1, 5)):
            step = progress(daemon, "r")["metrics"]
            assert step["loss"] == losses[step["step"] - 1], f"step {step['step']} of attempt {attempt}"
            reached = step["step"]
        time.sleep(moments.random() * 0.05)
        daemon.process.kill()
        daemon.process.wait()
    assert reached >= 6
    names = sorted(path.name for path in checkpoints.iterdir() if path.name.startswith("step-"))
    assert 1 <= len(names) <= 4, names
    # What was being written when the daemon died is gone once a daemon goes on there.
    (checkpoints / ".step-00000099.x.partial").mkdir()
    prepare(daemon := start()).call("distill/load", {"path": str(checkpoints), "name": "r"})
    assert all(path.name.startswith("step-") for path in checkpoints.iterdir())
    daemon.__exit__()

    lines = (log / "metrics.jsonl").read_bytes().split(b"\n")
    entries = [json.loads(line) for line in lines[:-1]]
    steps = [entry["step"] for entry in entries]
    assert lines[-1] == b"" or _is_torn(lines[-1])
    assert set(steps) >= set(range(1, reached + 1))
    for entry in entries:
        assert entry["loss"] == losses[entry["step"] - 1]


def _is_torn(line):
    """The line that was being written when the daemon died."""
    try:
        json.loads(line)
    except ValueError:
        return True
    return False
