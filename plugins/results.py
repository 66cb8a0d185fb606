#!/usr/bin/env python3
"""Measures the bundled methods against one another, over the daemon's pipe, and writes RESULTS.md.

    plugins/results.py --espalier .build/release/espalier \\
      --model SmolLM2-135M=smollm2.gguf --calibration calibration.txt --evaluation evaluation.txt

Each cell of the table is one prune/run from the model as it was loaded and one evaluate/divergence from the dense
model, which gives both figures. Cells are appended to results.jsonl as they are found, and cells that are
there already are not measured again, so a run can be stopped and continued. --render writes RESULTS.md alone.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

FOLDER = pathlib.Path(__file__).resolve().parent
TARGETS = ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "2:4", "4:8"]

# What prune/run is given for each row of the table.
METHODS = {
    "magnitude": {"plugin": "magnitude"},
    "magnitude, per row": {"plugin": "magnitude", "group": "row"},
    "movement": {"plugin": "movement", "group": "row"},
    "SNIP": {"plugin": "snip", "group": "row"},
    "Taylor, second order": {"plugin": "taylor", "group": "row", "parameters": {"order": "second"}},
    "RIA": {"plugin": "ria", "group": "row"},
    "GBLM": {"plugin": "gblm"},
    "Wanda++ score": {"plugin": "wanda-plus-plus"},
    "Wanda": {"plugin": "wanda"},
    "Wanda, variant": {"plugin": "wanda-variant"},
    "Wanda + DSnoT": {"plugin": "wanda", "refinement": "dsnot"},
    "Wanda + swaps": {"plugin": "wanda", "refinement": "gram-swap"},
    "Wanda + OWL": {"plugin": "wanda", "allocation": "owl"},
    "Wanda + least squares": {"plugin": "wanda", "compensation": "least-squares"},
    "SparseGPT": {"plugin": "sparsegpt"},
    "ADMM, gradual": {"plugin": "admm"},
    "ADMM, gradual, per row": {"plugin": "admm", "group": "row"},
    "ALPS": {"plugin": "alps"},
    "MAMA, authors 2024": {
        "plugin": "mama", "group": "matrix", "compensation": "none", "parameters": {"mode": "authors-2024"}},
    "MAMA, uniform move": {"plugin": "mama", "compensation": "uniform-move", "rounds": 1},
    "MAMA": {"plugin": "mama"},
}


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


def measure(daemon, model, method, target, common, precision):
    """One cell: a pruned revision, how good it is, and what it took."""
    params = {"model": model, **METHODS[method], **common}
    if ":" in target:
        params["pattern"] = target
        params.pop("group", None)
    else:
        params["sparsity"] = float(target)
    daemon.call("revision/checkout", {"model": model, "target": "r0"})
    run = daemon.call("prune/run", params)
    try:
        result = evaluate(daemon, model, precision)
    finally:
        daemon.call("revision/checkout", {"model": model, "target": "r0"})
        daemon.call("revision/forget", {"model": model, "revision": run["revision"]})
    kinds = sorted({d["kind"] for d in run["diagnostics"]})
    return {**result, "sparsity": run["sparsity"], "seconds": round(run["seconds"], 1), "diagnostics": kinds}


def evaluate(daemon, model, precision):
    result = daemon.call("evaluate/divergence", {
        "model": model, "reference": {"model": model, "revision": "r0"}, "dataset": "evaluation",
        "precision": precision})
    return {key: result[key] for key in ("perplexity", "meanKL", "sameTopToken")}


def number(value):
    """A figure with four significant digits."""
    if isinstance(value, str):
        return value
    return f"{value:.4g}" if value < 10000 else f"{value:.2e}"


def render(cells):
    text = [
        "# Results",
        "",
        "Perplexity on the evaluation text (lower is better), and below it the mean KL divergence to the dense model in",
        "nats. Every cell is one `prune/run` from the dense model; only the linear maps of the layers are pruned. The best",
        "of each column is bold. Written by `results.py`, which says how each row is called; `results.jsonl` has every",
        "figure with its time.",
    ]
    for model in dict.fromkeys(cell["model"] for cell in cells):
        for setting in dict.fromkeys(cell["setting"] for cell in cells if cell["model"] == model):
            chosen = [cell for cell in cells if (cell["model"], cell["setting"]) == (model, setting)]
            found = {(cell["method"], cell["target"]): cell for cell in chosen}
            dense = found.get(("dense", "0"))
            targets = [target for target in TARGETS if any(cell["target"] == target for cell in chosen)]
            text += ["", f"## {model}", "", setting + "."]
            if dense:
                text += [f"Dense: perplexity {number(dense['perplexity'])}."]
            for quantity, name in (("perplexity", "Perplexity"), ("meanKL", "Mean KL to the dense model, nats")):
                best = {target: min((cell[quantity] for cell in chosen if cell["target"] == target
                                     and not isinstance(cell[quantity], str)), default=None) for target in targets}
                text += ["", f"### {name}", "", "| method | " + " | ".join(targets) + " |",
                         "|---" * (len(targets) + 1) + "|"]
                for method in METHODS:
                    row = [found.get((method, target)) for target in targets]
                    if not any(row):
                        continue
                    values = [("" if cell is None else f"**{number(cell[quantity])}**"
                               if cell[quantity] == best[target] else number(cell[quantity]))
                              for cell, target in zip(row, targets)]
                    text.append(f"| {method} | " + " | ".join(values) + " |")
    (FOLDER / "RESULTS.md").write_text("\n".join(text) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--espalier", default=str(FOLDER.parent / ".build" / "release" / "espalier"))
    parser.add_argument("--model", action="append", default=[], help="NAME=SOURCE; may be repeated")
    parser.add_argument("--calibration", help="a text file")
    parser.add_argument("--evaluation", help="a text file")
    parser.add_argument("--sequences", type=int, default=128, help="calibration sequences of 512 tokens")
    parser.add_argument("--at-once", action="store_true", help="statistics of the dense model, not layer by layer")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"], help="of layer-by-layer passes and of the evaluation")
    parser.add_argument("--methods", help="rows, by name, with semicolons between them")
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--minutes", type=float, help="begin no cell after so many minutes")
    parser.add_argument("--render", action="store_true", help="write RESULTS.md from results.jsonl and stop")
    arguments = parser.parse_args()

    store = FOLDER / "results.jsonl"
    cells = [json.loads(line) for line in store.read_text().splitlines()] if store.exists() else []
    if arguments.render:
        return render(cells)
    if not (arguments.model and arguments.calibration and arguments.evaluation):
        parser.error("--model, --calibration and --evaluation are needed")
    methods = arguments.methods.split(";") if arguments.methods else list(METHODS)
    if unknown := [method for method in methods if method not in METHODS]:
        parser.error(f"no such rows: {'; '.join(unknown)}. There are: {'; '.join(METHODS)}")
    sampling = "contiguous" if arguments.sequences <= 64 else "random"
    setting = (f"{arguments.sequences} calibration sequences of 512 tokens ({sampling}), "
               + ("all tensors at once" if arguments.at_once else "layer by layer") + ", " + arguments.precision)
    common = {"dataset": "calibration", "sequential": not arguments.at_once}
    if not arguments.at_once:
        common |= {"precision": arguments.precision, "layerErrors": False}
    end = time.time() + 60 * arguments.minutes if arguments.minutes else None

    def keep(model, method, target, result):
        cells.append({"model": model, "setting": setting, "method": method, "target": target, **result})
        with store.open("a") as file:
            file.write(json.dumps(cells[-1]) + "\n")
        render(cells)
        print(f"{model}  {target:>4}  {method:24} {number(result['perplexity']):>10}  KL {number(result['meanKL'])}",
              flush=True)

    for name, source in (pair.split("=", 1) for pair in arguments.model):
        done = {(cell["method"], cell["target"]) for cell in cells if (cell["model"], cell["setting"]) == (name, setting)}
        todo = [(m, t) for t in arguments.targets.split(",") for m in methods if (m, t) not in done]
        if not todo:
            continue
        daemon = Daemon(arguments.espalier)
        daemon.call("model/load", {"source": source, "name": name})
        text = {"model": name, "sequenceLength": 512}
        daemon.call("dataset/load", {
            **text, "path": arguments.calibration, "name": "calibration", "sequences": arguments.sequences,
            "sampling": sampling, **({"seed": 0} if sampling == "random" else {})})
        daemon.call("dataset/load", {**text, "path": arguments.evaluation, "name": "evaluation", "sequences": 16})
        if ("dense", "0") not in done:
            keep(name, "dense", "0", {**evaluate(daemon, name, arguments.precision), "sparsity": 0, "seconds": 0, "diagnostics": []})
        for method, target in todo:
            if end and time.time() > end:
                return
            try:
                keep(name, method, target, measure(daemon, name, method, target, common, arguments.precision))
            except RuntimeError as error:
                print(f"{name}  {target:>4}  {method:24} {error}", flush=True)
        daemon.call("shutdown", None)


if __name__ == "__main__":
    main()
