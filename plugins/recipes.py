#!/usr/bin/env python3
"""Measures recipes against one another on the built-in model, over the daemon's pipe, and writes what it finds to RESULTS.md:

    plugins/recipes.py --espalier .build/release/espalier --training calibration.txt --evaluation evaluation.txt

1. Pruning at once and then teaching, against pruning and teaching in turns with as many steps in all.
2. A lottery ticket - the mask that rounds of pruning, rewinding and teaching find - against random masks of the same
   sparsity in each tensor: both put on the first weights, and both taught for all steps.

Figures that are in recipes.jsonl are not measured again; --render writes RESULTS.md alone.
"""

import argparse
import json
import pathlib
import random
import struct
import tempfile

from results import FOLDER, Daemon
from results_pages import number, write_results

STORE = FOLDER / "recipes.jsonl"
MODEL = "sapling"
ROUNDS = 4
ROWS = ["at once, then taught", f"in {ROUNDS} rounds", "lottery ticket", "random masks"]


class Nursery:
    """The built-in model with its texts, and how one of the rows is measured."""

    def __init__(self, arguments):
        self.steps = arguments.steps
        self.daemon = Daemon(arguments.espalier)
        self.daemon.call("model/load", {"source": "builtin:sapling", "name": MODEL})
        for name, path in (("training", arguments.training), ("evaluation", arguments.evaluation)):
            self.daemon.call("dataset/load", {
                "model": MODEL, "name": name, "path": path, "sequenceLength": 256, "sequences": 256})

    def measure(self, row, sparsity, seed):
        self.daemon.call("revision/checkout", {"model": MODEL, "target": "r0"})
        prune = {"plugin": "magnitude"}
        if row == ROWS[0]:
            self.recipe(stages=[{"prune": {**prune, "sparsity": sparsity}}, {"teach": self.lesson(self.steps, seed)}])
        elif row == ROWS[1]:
            self.recipe(rounds=self.rounds(prune, sparsity, seed))
        else:
            with tempfile.TemporaryDirectory() as folder:
                path = f"{folder}/ticket.safetensors"
                self.recipe(rounds={**self.rounds(prune, sparsity, seed), "rewind": "r0"})
                self.daemon.call("mask/save", {"model": MODEL, "path": path})
                if row == "random masks":
                    shuffle_masks(path, seed)
                self.daemon.call("revision/checkout", {"model": MODEL, "target": "r0"})
                self.daemon.call("mask/load", {"model": MODEL, "path": path})
            self.recipe(stages=[{"teach": self.lesson(self.steps, seed)}])
        found = self.daemon.call("evaluate/divergence", {
            "model": MODEL, "reference": {"model": MODEL, "revision": "r0"}, "dataset": "evaluation"})
        log = self.daemon.call("mask/get", {"model": MODEL})["tensors"]
        pruned, kept = (sum(tensor[part] for tensor in log) for part in ("pruned", "kept"))
        return {**{key: found[key] for key in ("perplexity", "meanKL", "sameTopToken")},
                "dense": found["referencePerplexity"], "achieved": pruned / (pruned + kept)}

    def rounds(self, prune, sparsity, seed):
        return {"sparsity": sparsity, "count": ROUNDS, "prune": prune, "teach": self.lesson(self.steps // ROUNDS, seed)}

    def lesson(self, steps, seed):
        return {
            "dataset": "training", "teacher": {"model": MODEL, "revision": "r0"}, "objectives": ["forward-kl"],
            "steps": steps, "batch": 8, "schedule": {"learningRate": 1e-3}, "seed": seed}

    def recipe(self, **parts):
        self.daemon.call("distill/recipe", {"model": MODEL, **parts})


def shuffle_masks(path, seed):
    """Gives every mask of a file a random one with as many kept weights. Rows are whole bytes in the built-in model."""
    data = bytearray(pathlib.Path(path).read_bytes())
    (length,) = struct.unpack_from("<Q", data)
    header, start = json.loads(data[8:8 + length]), 8 + length
    chance = random.Random(seed)
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        begin, end = (start + offset for offset in tensor["data_offsets"])
        bits = [data[begin + place // 8] >> place % 8 & 1 for place in range(8 * (end - begin))]
        chance.shuffle(bits)
        data[begin:end] = bytes(
            sum(bit << place for place, bit in enumerate(bits[first:first + 8])) for first in range(0, len(bits), 8))
    pathlib.Path(path).write_bytes(data)


def read_recipes():
    return [json.loads(line) for line in STORE.read_text().splitlines()] if STORE.exists() else []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--espalier", default=str(FOLDER.parent / ".build" / "release" / "espalier"))
    parser.add_argument("--training", help="a text file")
    parser.add_argument("--evaluation", help="a text file")
    parser.add_argument("--steps", type=int, default=160, help="of 2048 tokens each, in all (%(default)s)")
    parser.add_argument("--sparsities", default="0.5,0.7,0.8,0.9", help="with commas between them (%(default)s)")
    parser.add_argument("--seeds", type=int, default=2, help="runs of each row (%(default)s)")
    parser.add_argument("--render", action="store_true", help="write RESULTS.md from what was measured, and stop")
    arguments = parser.parse_args()
    if arguments.render:
        return write_results(FOLDER)
    if not (arguments.training and arguments.evaluation):
        parser.error("--training and --evaluation are needed")
    nursery, done = Nursery(arguments), read_recipes()
    for sparsity in map(float, arguments.sparsities.split(",")):
        for row in ROWS:
            for seed in range(arguments.seeds):
                key = {"row": row, "sparsity": sparsity, "steps": arguments.steps, "seed": seed}
                if any(key.items() <= other.items() for other in done):
                    continue
                found = nursery.measure(row, sparsity, seed)
                with STORE.open("a") as file:
                    file.write(json.dumps({**key, **found}) + "\n")
                write_results(FOLDER)
                print(f"{sparsity}  {row:22} {number(found['perplexity']):>8}  KL {number(found['meanKL'])}", flush=True)
    nursery.daemon.end()


if __name__ == "__main__":
    main()
