"""TensorBoard reads what the daemon writes as event files.

The Swift tests hold the daemon's writer to the bytes of Tests/CompressionTests/Goldens/events.golden.tfevents; here these
bytes are read with tensorboard, and made anew with it.
"""

import json
import math
import shutil
import struct
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from daemon import ROOT

GOLDENS = ROOT / "Tests" / "CompressionTests" / "Goldens"
sys.path.append(str(GOLDENS))

import events_goldens as goldens  # noqa: E402


def read(folder):
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return accumulator


@pytest.fixture
def folder(tmp_path):
    shutil.copy(goldens.FILE, tmp_path / "events.out.tfevents.1700000000.espalier.0")
    return tmp_path


def test_the_golden_is_what_tensorboard_writes():
    assert goldens.written() == goldens.FILE.read_bytes()


def test_scalars_are_read(folder):
    accumulator = read(folder)
    assert sorted(accumulator.Tags()["scalars"]) == ["größe", "learningRate", "loss", "loss/forward-kl", "tokens"]
    loss = accumulator.Scalars("loss")
    assert [scalar.step for scalar in loss] == [0, 2, 3_000_000_000]
    assert [scalar.wall_time for scalar in loss] == [goldens.START + number for number in range(3)]
    assert loss[0].value == 2.5 and math.isnan(loss[1].value) and loss[2].value == -math.inf
    assert [scalar.value for scalar in accumulator.Scalars("tokens")] == [0, 4096, 2**40]
    assert accumulator.FirstEventTimestamp() == goldens.START


def test_a_restart_takes_back_what_was_written_before(folder):
    """Steps from the resumed one on, of the file before, are not shown."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    writer = RecordWriter((folder / "events.out.tfevents.1600000000.espalier.0").open("wb"))
    writer.write(Event(wall_time=1.6e9, file_version="brain.Event:2").SerializeToString())
    for step in range(5):
        value = Summary.Value(tag="earlier", simple_value=step)
        writer.write(Event(wall_time=1.6e9 + step, step=step, summary=Summary(value=[value])).SerializeToString())
    writer.close()
    accumulator = read(folder)
    assert [scalar.step for scalar in accumulator.Scalars("earlier")] == [0, 1]
    assert [scalar.step for scalar in accumulator.Scalars("loss")] == [0, 2, 3_000_000_000]


@pytest.mark.parametrize("place", [3, 9, 20])
def test_a_broken_byte_is_found(folder, place):
    """The checksums count: what is read ends before a record with another byte."""
    path = next(folder.iterdir())
    content = bytearray(path.read_bytes())
    length = struct.unpack("<Q", content[:8])[0]
    second = 8 + 4 + length + 4
    content[second + place] ^= 1
    path.write_bytes(content)
    try:
        assert read(folder).Tags()["scalars"] == []
    except Exception as error:  # tensorboard's own kind of error, which has changed places
        assert "DataLossError" in type(error).__name__ or "corrupt" in str(error).lower()


def test_a_run_that_went_on_is_read_as_one(daemon, tmp_path):
    """The steps after the checkpoint that it went on from are done again; TensorBoard shows each step once."""
    log, saved = tmp_path / "log", tmp_path / "saved"
    daemon.call("model/load", {"source": "builtin:sapling"})
    text = {"path": "builtin:sapling/calibration", "model": "sapling", "sequenceLength": 32, "sequences": 8}
    daemon.call("dataset/load", {**text, "name": "text"})
    checkpoint = {"path": str(saved), "everySteps": 2}
    run = {"student": "sapling", "dataset": "text", "batch": 2, "steps": 6, "log": str(log), "checkpoint": checkpoint}
    daemon.call("distill/start", {**run, "objectives": ["cross-entropy"], "name": "first"})
    daemon.call("distill/step", {"run": "first", "steps": 3})
    daemon.call("distill/stop", {"run": "first"})
    daemon.call("distill/load", {"path": str(saved), "name": "second"})
    daemon.call("distill/step", {"run": "second", "steps": 2})
    lines = [json.loads(line) for line in (log / "metrics.jsonl").read_text().splitlines()]
    assert [(line["attempt"], line["step"]) for line in lines] == [(1, 1), (1, 2), (1, 3), (2, 3), (2, 4)]
    assert len(list(log.glob("events.out.tfevents.*"))) == 2
    accumulator = read(log)
    scalars = accumulator.Scalars("loss")
    assert [scalar.step for scalar in scalars] == [1, 2, 3, 4]
    counting = [lines[0], lines[1], lines[3], lines[4]]
    assert [scalar.value for scalar in scalars] == pytest.approx([line["loss"] for line in counting], rel=1e-6)
    assert [scalar.value for scalar in accumulator.Scalars("tokens")] == [line["tokens"] for line in counting]
