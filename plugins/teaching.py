#!/usr/bin/env python3
"""Measures what teaching gives back to a cut model, over the daemon's pipe, and writes it to RESULTS.md.

    plugins/teaching.py --espalier .build/release/espalier \\
      --model SmolLM2-135M=smollm2.gguf --training calibration.txt --evaluation evaluation.txt --steps 100

Each cut is taught by each lesson for the same steps on the same text, in the same order; the dense model is the teacher. A
row of teaching.jsonl is one point of a curve: what evaluate/divergence says of the student at a step. What is there is not
measured again. --render writes RESULTS.md alone.
"""

import argparse
import json
import pathlib
import time

from results import FOLDER, Laboratory
from results_pages import number, write_results

STORE = FOLDER / "teaching.jsonl"
POINTS = [0, 0.125, 0.25, 0.5, 1]

# How the model is cut: requests, one after another; a cut in width or depth is then really removed.
CUTS = {
    "Wanda, 50 %": [("prune/run", {"plugin": "wanda", "sparsity": 0.5, "dataset": "calibration"})],
    "Wanda, 2:4": [("prune/run", {"plugin": "wanda", "pattern": "2:4", "dataset": "calibration"})],
    "width, 25 % of the neurons": [("units", {"plugin": "activation-norm", "unit": "neuron", "share": 0.25})],
    "depth, 25 % of the layers": [("units", {"plugin": "block-influence", "unit": "layer", "share": 0.25})],
}

# What distill/start is given; nothing: what it chooses by what was cut.
LESSONS = {
    "forward-kl": {"objectives": ["forward-kl"]},
    "cross-entropy": {"objectives": ["cross-entropy"]},
    "logits, inside and embedding": {
        "balance": "dynamic", "objectives": [
            "forward-kl", {"plugin": "hidden-cosine"}, {"plugin": "hidden-cosine", "place": "embedding"}]},
}


class School(Laboratory):
    """A loaded model with its texts, and how one of its cuts is taught."""

    def __init__(self, name, source, arguments):
        arguments.at_once = False
        super().__init__(name, source, arguments)
        self.arguments = arguments
        self.daemon.call("dataset/load", {
            "model": name, "sequenceLength": 512, "path": arguments.training, "name": "training"})

    def cut(self, requests):
        """The name of the cut model; its current revision is the one to be taught."""
        self.checkout()
        for method, request in requests:
            if method == "units":
                scores = self.daemon.call("importance/score", {
                    "model": self.name, "dataset": "calibration", "plugin": request["plugin"], "unit": request["unit"]})
                self.daemon.call("mask/apply", {
                    "model": self.name, "scores": scores["scores"], "sparsity": request["share"]})
                self.daemon.call("prune/shrink", {"model": self.name, "name": "cut"})
                return "cut"
            self.daemon.call(method, {"model": self.name, **request})
        return self.name

    def teach(self, model, lesson, keep):
        """Goes through the steps, and calls `keep` with what the student is at each point."""
        steps = self.arguments.steps
        before = self.daemon.call("model/describe", {"model": model})["revision"]
        self.daemon.call("distill/start", {
            "name": "run", "student": model, "teacher": {"model": self.name, "revision": "r0"}, "dataset": "training",
            "steps": steps, "batch": 4, "precision": self.precision,
            "schedule": {"learningRate": self.arguments.rate}, **LESSONS[lesson]})
        seconds = 0
        for step in sorted({round(point * steps) for point in POINTS}):
            done = self.daemon.call("distill/status", {"run": "run"})["runs"][0]["step"]
            start = time.monotonic()
            if step > done:
                self.daemon.call("distill/step", {"run": "run", "steps": step - done})
                self.daemon.call("distill/commit", {"run": "run"})
            seconds += time.monotonic() - start
            tokens = self.daemon.call("distill/status", {"run": "run"})["runs"][0]["tokens"]
            keep(step, {**self.judge(model), "tokens": tokens, "seconds": round(seconds, 1)})
            self.daemon.call("revision/checkout", {"model": model, "target": before})
        self.daemon.call("distill/stop", {"run": "run"})

    def judge(self, model):
        found = self.daemon.call("evaluate/divergence", {
            "model": model, "reference": {"model": self.name, "revision": "r0"}, "dataset": "evaluation",
            "precision": self.precision})
        return {key: found[key] for key in ("perplexity", "meanKL", "sameTopToken")}


def read_points():
    return [json.loads(line) for line in STORE.read_text().splitlines()] if STORE.exists() else []


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--espalier", default=str(FOLDER.parent / ".build" / "release" / "espalier"))
    parser.add_argument("--model", action="append", default=[], help="NAME=SOURCE; may be repeated")
    parser.add_argument("--training", help="a text file, for calibration too")
    parser.add_argument("--evaluation", help="a text file")
    parser.add_argument("--sequences", type=int, default=16, help="calibration sequences of 512 tokens")
    parser.add_argument("--sampling", default="contiguous", choices=["random", "contiguous"])
    parser.add_argument("--steps", type=int, default=100, help="of 2048 tokens each (%(default)s)")
    parser.add_argument("--rate", type=float, default=2e-4, help="the peak learning rate (%(default)s)")
    parser.add_argument("--precision", default="bf16", choices=["fp32", "bf16"])
    parser.add_argument("--cuts", help="by name, with semicolons between them")
    parser.add_argument("--lessons", help="the same")
    parser.add_argument("--render", action="store_true", help="write RESULTS.md from what was measured, and stop")
    arguments = parser.parse_args()
    arguments.calibration = arguments.training
    if not arguments.render and not (arguments.model and arguments.training and arguments.evaluation):
        parser.error("--model, --training and --evaluation are needed")
    arguments.chosen = [
        (cut, lesson) for cut in (arguments.cuts.split(";") if arguments.cuts else CUTS)
        for lesson in (arguments.lessons.split(";") if arguments.lessons else LESSONS)
        if arguments.lessons or lesson != "logits, inside and embedding" or cut.startswith("depth")]
    for cut, lesson in arguments.chosen:
        if cut not in CUTS or lesson not in LESSONS:
            parser.error(f"no such cut or lesson: {cut}, {lesson}. There are: {'; '.join([*CUTS, *LESSONS])}")
    arguments.setting = f"{arguments.steps} steps of 2048 tokens, learning rate {arguments.rate:g}, {arguments.precision}"
    return arguments


def main():
    arguments = parse()
    points = read_points()
    if arguments.render:
        return write_results(FOLDER)
    for name, source in (pair.split("=", 1) for pair in arguments.model):
        for cut, lesson in arguments.chosen:
            key = {"model": name, "setting": arguments.setting, "cut": cut, "lesson": lesson}
            if any(point["step"] == arguments.steps and key.items() <= point.items() for point in points):
                continue
            points = [point for point in points if not key.items() <= point.items()]
            school = School(name, source, arguments)  # a daemon of its own: nothing of the last lesson is left

            def keep(step, found):
                points.append({**key, "step": step, **found})
                print(f"{name}  {cut}  {lesson:14} step {step:4}  {number(found['perplexity']):>8}  "
                      f"KL {number(found['meanKL'])}", flush=True)

            school.teach(school.cut(CUTS[cut]), lesson, keep)
            school.end()
            STORE.write_text("".join(json.dumps(point) + "\n" for point in points))
            write_results(FOLDER)


if __name__ == "__main__":
    main()
