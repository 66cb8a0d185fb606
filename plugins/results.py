#!/usr/bin/env python3
"""Measures the bundled methods against one another over the daemon's pipe, and writes what it finds to RESULTS.md and
to the page of every plugin.

    plugins/results.py --espalier .build/release/espalier \\
      --model SmolLM2-135M=smollm2.gguf --calibration calibration.txt --evaluation evaluation.txt

A cell is one pruning of the model as it was loaded and one evaluate/divergence from it, which gives perplexity and KL.
Cells are appended to results.jsonl as they are found, and those that are there are not measured again, so a run can be
stopped and continued. --render writes the pages alone.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

from results_pages import number, render
from results_rows import METHODS, STRUCTURES

FOLDER = pathlib.Path(__file__).resolve().parent
STORE = FOLDER / "results.jsonl"
TARGETS = ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "2:4", "4:8"]
SHARES = ["0.1", "0.2", "0.25", "0.3", "0.4", "0.5"]


class Daemon:
    """Speaks to `espalier serve`: one request at a time."""

    def __init__(self, binary):
        self.process = subprocess.Popen(
            [binary, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.number = 0
        self.call("initialize", {"processId": None, "capabilities": {}})
        self.send({"jsonrpc": "2.0", "method": "initialized", "params": {}})

    def send(self, message):
        body = json.dumps(message).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def receive(self):
        length = 0
        while (line := self.process.stdout.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if length == 0:
            sys.exit("The daemon ended.")
        return json.loads(self.process.stdout.read(length))

    def call(self, method, params):
        self.number += 1
        self.send({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params})
        while (answer := self.receive()).get("id") != self.number:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def end(self):
        """Has it leave, and waits until it is gone with its memory."""
        self.call("shutdown", None)
        self.send({"jsonrpc": "2.0", "method": "exit"})
        self.process.wait()


class Laboratory:
    """A loaded model with its texts, and how one of its cells is measured."""

    def __init__(self, name, source, arguments):
        self.name = name
        self.sequential = not arguments.at_once
        self.precision = arguments.precision
        self.handles = {}
        self.daemon = Daemon(arguments.espalier)
        self.daemon.call("model/load", {"source": source, "name": name})
        calibration = {"model": name, "sequenceLength": 512, "path": arguments.calibration}
        self.daemon.call("dataset/load", {
            **calibration, "name": "calibration", "sequences": arguments.sequences, "sampling": arguments.sampling,
            **({"seed": arguments.seed} if arguments.sampling == "random" else {})})
        self.daemon.call("dataset/load", {**calibration, "name": "probe", "sequences": 8})
        self.daemon.call("dataset/load", {
            "model": name, "sequenceLength": 512, "path": arguments.evaluation, "name": "evaluation", "sequences": 16})

    def evaluate(self):
        result = self.daemon.call("evaluate/divergence", {
            "model": self.name, "reference": {"model": self.name, "revision": "r0"}, "dataset": "evaluation",
            "precision": self.precision})
        return {key: result[key] for key in ("perplexity", "meanKL", "sameTopToken")}

    def measure(self, row, target):
        """A pruned revision, how good it is, and what it took."""
        self.checkout()
        start = time.monotonic()
        if row in STRUCTURES:
            pruned = self.daemon.call("mask/apply", {
                "model": self.name, "scores": self.handle(row), "sparsity": float(target)})
        else:
            pruned = self.daemon.call("prune/run", self.request(row, target))
        seconds = time.monotonic() - start
        try:
            result = self.evaluate()
        finally:
            self.checkout()
            self.daemon.call("revision/forget", {"model": self.name, "revision": pruned["revision"]})
        kinds = sorted({diagnostic["kind"] for diagnostic in pruned["diagnostics"]})
        return {**result, "sparsity": pruned["sparsity"], "seconds": round(seconds, 1), "diagnostics": kinds}

    def request(self, row, target):
        request = {"model": self.name, "dataset": "calibration", "sequential": self.sequential, **METHODS[row]}
        if request["sequential"]:
            request |= {"precision": self.precision, "layerErrors": False}
        if request.get("allocation") == "sensitivity":
            request["allocation"] = {"plugin": "sensitivity", "sensitivity": self.handle(row)}
        if ":" in target:
            request.pop("group", None)
            return request | {"pattern": target}
        return request | {"sparsity": float(target)}

    def handle(self, row):
        """Scores of units or a sensitivity, which all targets of a row share."""
        if row not in self.handles:
            if row in STRUCTURES:
                request = {"model": self.name, "dataset": "calibration", **STRUCTURES[row]}
                self.handles[row] = self.daemon.call("importance/score", request)["scores"]
            else:
                request = {"model": self.name, "dataset": "probe", "plugin": METHODS[row]["plugin"]}
                self.handles[row] = self.daemon.call("evaluate/sensitivity", request)["sensitivity"]
        return self.handles[row]

    def checkout(self):
        self.daemon.call("revision/checkout", {"model": self.name, "target": "r0"})

    def end(self):
        self.daemon.end()


def read_cells():
    return [json.loads(line) for line in STORE.read_text().splitlines()] if STORE.exists() else []


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--espalier", default=str(FOLDER.parent / ".build" / "release" / "espalier"))
    parser.add_argument("--model", action="append", default=[], help="NAME=SOURCE; may be repeated")
    parser.add_argument("--calibration", help="a text file")
    parser.add_argument("--evaluation", help="a text file")
    parser.add_argument("--sequences", type=int, default=128, help="calibration sequences of 512 tokens")
    parser.add_argument("--sampling", default="random", choices=["random", "contiguous"])
    parser.add_argument("--seed", type=int, default=0, help="of random sampling")
    parser.add_argument("--at-once", action="store_true", help="statistics of the dense model, not layer by layer")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"],
                        help="of layer-by-layer passes and of the evaluation")
    parser.add_argument("--structures", action="store_true", help="the rows of units instead of those of weights")
    parser.add_argument("--methods", help="rows, by name, with semicolons between them")
    parser.add_argument("--targets", help="with commas between them")
    parser.add_argument("--minutes", type=float, help="begin no cell after so many minutes")
    parser.add_argument("--render", action="store_true", help="write the pages from results.jsonl and stop")
    arguments = parser.parse_args()
    if not arguments.render and not (arguments.model and arguments.calibration and arguments.evaluation):
        parser.error("--model, --calibration and --evaluation are needed")
    rows = STRUCTURES if arguments.structures else METHODS
    arguments.rows = arguments.methods.split(";") if arguments.methods else list(rows)
    if unknown := [row for row in arguments.rows if row not in rows]:
        parser.error(f"no such rows: {'; '.join(unknown)}. There are: {'; '.join(rows)}")
    columns = SHARES if arguments.structures else TARGETS
    arguments.columns = arguments.targets.split(",") if arguments.targets else columns
    sampling = f"{arguments.sampling}, seed {arguments.seed}" if arguments.seed else arguments.sampling
    arguments.setting = f"{arguments.sequences} calibration sequences of 512 tokens ({sampling}), " + (
        "units of the dense model" if arguments.structures
        else "all tensors at once" if arguments.at_once else "layer by layer") + f", {arguments.precision}"
    return arguments


def main():
    arguments = parse()
    cells = read_cells()
    if arguments.render:
        return render(FOLDER, cells)
    end = time.monotonic() + 60 * arguments.minutes if arguments.minutes else None
    for name, source in (pair.split("=", 1) for pair in arguments.model):
        done = {(cell["method"], cell["target"]) for cell in cells
                if (cell["model"], cell["setting"]) == (name, arguments.setting)}
        todo = [(row, target) for target in arguments.columns for row in arguments.rows if (row, target) not in done]
        if not todo:
            continue
        laboratory = Laboratory(name, source, arguments)

        def keep(row, target, result):
            cells.append({"model": name, "setting": arguments.setting, "method": row, "target": target, **result})
            with STORE.open("a") as file:
                file.write(json.dumps(cells[-1]) + "\n")
            render(FOLDER, cells)
            print(f"{name}  {target:>4}  {row:24} {number(result['perplexity']):>10}  KL {number(result['meanKL'])}",
                  flush=True)

        if ("dense", "0") not in done:
            keep("dense", "0", {**laboratory.evaluate(), "sparsity": 0, "seconds": 0, "diagnostics": []})
        for row, target in todo:
            if end and time.monotonic() > end:
                return
            try:
                keep(row, target, laboratory.measure(row, target))
            except RuntimeError as error:
                print(f"{name}  {target:>4}  {row:24} {error}", flush=True)
        laboratory.end()


if __name__ == "__main__":
    main()
