"""Distillation runs on disk: saved and loaded they go on with the same bits; what is there when the daemon is killed is
whole; folders that hold no run are refused."""

import json
import random
import shutil
import time

import pytest

from asking import ends_well
from distilling import RUN, SUMS, kind, prepare, progress, status


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
