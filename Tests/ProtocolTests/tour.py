"""One session that calls every method of the protocol at least once.

Its first request of each method is the example in protocol/methods, answer and all (examples.py).
Paths are relative to the folder in which the daemon runs.
"""

import time
from dataclasses import dataclass, field

UP = "model.layers.0.mlp.up_proj.weight"
QUERY = "model.layers.0.self_attn.q_proj.weight"


@dataclass
class Step:
    method: str
    params: dict | None = None
    waits: bool = True
    """Whether the answer comes before the next step; otherwise it comes when the step is cancelled."""
    pause: float = 0
    """Seconds before it."""
    request: dict = field(default_factory=dict)
    answer: dict = field(default_factory=dict)


def steps():
    text = {"model": "sapling", "sequenceLength": 128}
    return [
        Step(
            "initialize",
            {"processId": None, "clientInfo": {"name": "tour"}, "capabilities": {}, "trace": "off"},
        ),
        Step("model/load", {"source": "builtin:sapling"}),
        Step("model/load", {"source": "builtin:sapling", "name": "second"}),
        Step("model/list"),
        Step("model/unload", {"model": "second"}),
        Step(
            "dataset/load",
            {"path": "builtin:sapling/calibration", **text, "sequences": 16, "name": "calibration"},
        ),
        Step("dataset/load", {"path": "builtin:sapling/evaluation", **text, "name": "evaluation"}),
        Step("dataset/load", {"text": "Out, out, brief candle! " * 20, **text}),
        Step("dataset/load", {"tokens": list(range(300)), **text, "sampling": "random", "seed": 7, "sequences": 3}),
        Step("dataset/load", {"path": "builtin:sapling/evaluation", **text, "sequences": 8, "name": "short"}),
        Step("dataset/list"),
        Step("dataset/unload", {"dataset": "d1"}),
        Step("plugin/list"),
        Step("plugin/describe", {"plugin": "wanda"}),
        Step(
            "importance/score",
            {"model": "sapling", "plugin": "wanda", "dataset": "calibration", "modules": ["*.q_proj.*", "*.up_proj.*"]},
        ),
        Step(
            "importance/score",
            {"model": "sapling", "plugin": "magnitude", "parameters": {}, "unit": "weight", "modules": ["*.up_proj.*"]},
        ),
        Step(
            "importance/score",
            {"model": "sapling", "revision": "r0", "plugin": "magnitude", "modules": ["*.layers.0.mlp.?p_proj.*"]},
        ),
        Step(
            "importance/score",
            {
                "model": "sapling",
                "plugin": "mama",
                "parameters": {"movementWeight": 0.1, "rewardWeight": 0.5, "normalisation": "rank"},
                "dataset": "calibration",
                "terms": {"reward": "s2"},
                "training": {"steps": 4, "learningRate": 0.001},
                "modules": ["*.up_proj.*"],
            },
        ),
        Step("importance/list"),
        Step("importance/query", {"scores": "s1", "tensor": UP, "topK": 3}),
        Step("importance/query", {"scores": "s1", "tensor": UP, "topK": 1, "order": "smallest"}),
        Step("importance/query", {"scores": "s1", "tensor": UP, "region": {"rows": [0, 2], "columns": [0, 3]}}),
        Step(
            "importance/query",
            {"scores": "s1", "tensor": UP, "region": {"rows": [0, 2], "columns": [0, 3]}, "encoding": "base64"},
        ),
        Step("importance/query", {"scores": "s1", "tensor": UP, "heatmap": {"rows": 2, "columns": 3}}),
        Step(
            "importance/query",
            {"scores": "s1", "tensor": UP, "heatmap": {"rows": 64, "columns": 64}, "encoding": "base64"},
        ),
        Step("importance/compare", {"a": "s1", "b": "s2", "sparsity": 0.5}),
        Step("importance/compare", {"a": "s2", "b": "s3", "pattern": "2:4", "group": "row"}),
        Step("importance/discard", {"scores": "s3"}),
        Step("mask/apply", {"model": "sapling", "scores": "s1", "sparsity": 0.5}),
        Step("mask/edit", {"model": "sapling", "edits": [{"op": "prune", "layer": 0, "heads": [1]}]}),
        Step(
            "mask/edit",
            {
                "model": "sapling",
                "edits": [
                    {"op": "restore", "tensor": QUERY, "rows": [0, 1]},
                    {"op": "invert", "tensor": QUERY, "columns": [5]},
                    {"op": "prune", "tensor": QUERY, "indices": [0, 36863]},
                    {"op": "restore", "tensor": UP},
                    {"op": "prune", "layer": 5, "neurons": [511]},
                ],
            },
        ),
        Step("mask/diff", {"model": "sapling", "from": "r1", "to": "r2"}),
        Step("mask/diff", {"model": "sapling", "from": "r0"}),
        Step("mask/get", {"model": "sapling", "tensor": QUERY, "region": {"rows": [30, 34], "columns": [0, 16]}}),
        Step("mask/get", {"model": "sapling", "revision": "r1", "tensor": QUERY, "heatmap": {"rows": 2, "columns": 3}}),
        Step("mask/get", {"model": "sapling", "revision": "r1", "tensor": QUERY}),
        Step("mask/get", {"model": "sapling"}),
        Step("mask/undo", {"model": "sapling"}),
        Step("mask/redo", {"model": "sapling"}),
        Step("mask/save", {"model": "sapling", "path": "masks.safetensors"}),
        Step("revision/branch", {"model": "sapling", "name": "careful", "revision": "r1"}),
        Step("mask/apply", {"model": "sapling", "scores": "s2", "pattern": "2:4", "modules": ["*.up_proj.*"]}),
        Step(
            "mask/apply",
            {
                "model": "sapling",
                "scores": "s2",
                "sparsity": 0.5,
                "allocation": {"plugin": "owl", "parameters": {"lambda": 0.1}, "modules": {"model.layers.0.*": 0.25}},
                "dataset": "calibration",
            },
        ),
        Step("revision/checkout", {"model": "sapling", "target": "main"}),
        Step("revision/checkout", {"model": "sapling", "revision": "r0"}),
        Step("revision/forget", {"model": "sapling", "revision": "r2"}),
        Step("mask/edit", {"model": "sapling", "edits": [{"op": "restore", "tensor": UP}]}),
        Step("mask/load", {"model": "sapling", "path": "masks.safetensors"}),
        Step(
            "prune/run",
            {
                "model": "sapling",
                "plugin": "wanda",
                "sparsity": 0.5,
                "refinement": "gram-swap",
                "compensation": {"plugin": "least-squares", "parameters": {"damping": 0.02}},
                "allocation": {"modules": {"model.layers.0.*": 0.25}},
                "dataset": "calibration",
            },
        ),
        Step(
            "prune/run",
            {
                "model": "sapling",
                "plugin": "sparsegpt",
                "parameters": {"blockSize": 64},
                "pattern": "2:4",
                "dataset": "calibration",
                "modules": ["*.mlp.*"],
                "layerErrors": False,
                "precision": "bf16",
            },
        ),
        Step(
            "prune/run",
            {"model": "sapling", "plugin": "magnitude", "pattern": "1:4", "sequential": False, "modules": ["*.mlp.*"]},
        ),
        Step("prune/run", {"model": "sapling", "plugin": "magnitude", "sparsity": 0.25, "group": "global"}),
        Step("revision/log", {"model": "sapling"}),
        Step("model/describe", {"model": "sapling"}),
        Step("model/describe", {"model": "sapling", "revision": "r1"}),
        Step(
            "model/generate",
            {"model": "sapling", "revision": "r0", "prompt": "To be, or not", "maxTokens": 12, "temperature": 0},
        ),
        Step(
            "model/generate",
            {
                "model": "sapling",
                "prompts": ["ROMEO:", "To be, or not"],
                "maxTokens": 8,
                "temperature": 0.8,
                "topK": 40,
                "topP": 0.95,
                "seed": 7,
                "logProbabilities": True,
                "partialResultToken": 5,
            },
        ),
        Step(
            "model/generate",
            {
                "model": "sapling",
                "tokens": [268, 632],
                "maxTokens": 3,
                "ignoreEndTokens": True,
                "addSpecialTokens": False,
                "logProbabilities": True,
            },
        ),
        Step("evaluate/perplexity", {"model": "sapling", "revision": "r1", "dataset": "short"}),
        Step("evaluate/perplexity", {"model": "sapling", "dataset": "short", "window": 64, "perWindow": False}),
        Step("evaluate/perplexity", {"model": "sapling", "dataset": "short", "perWindow": False, "precision": "bf16"}),
        Step(
            "prune/preview",
            {
                "model": "sapling",
                "revision": "r0",
                "plugin": "wanda",
                "dataset": "calibration",
                "modules": ["model.layers.0.mlp.*"],
                "allocation": {"modules": {"*.down_proj.*": 0.25}},
                "sparsities": [0.5],
                "patterns": ["2:4"],
            },
        ),
        Step(
            "prune/preview",
            {
                "model": "sapling",
                "dataset": "calibration",
                "edits": [{"op": "prune", "layer": 2, "heads": [0]}, {"op": "prune", "layer": 2, "neurons": [3]}],
            },
        ),
        Step(
            "evaluate/divergence",
            {"model": "sapling", "revision": "r1", "reference": {"model": "sapling", "revision": "r0"}, "dataset": "short"},
        ),
        Step(
            "evaluate/divergence",
            {"model": "sapling", "reference": {"model": "sapling"}, "dataset": "short", "window": 64, "precision": "bf16"},
        ),
        Step(
            "evaluate/sensitivity",
            {
                "model": "sapling",
                "revision": "r0",
                "plugin": "wanda",
                "dataset": "short",
                "calibration": "calibration",
                "sparsities": [0.5, 0.9],
                "layers": [0, 5],
            },
        ),
        Step("evaluate/sensitivity", {"model": "sapling", "sensitivity": "v1", "sparsities": [0.5], "layers": [0]}),
        Step("evaluate/sensitivity", {"model": "sapling", "dataset": "short", "unit": "layer", "layers": [3]}),
        Step(
            "distill/start",
            {
                "student": {"model": "sapling", "revision": "r1"},
                "dataset": "calibration",
                "steps": 4,
                "batch": 4,
                "schedule": {"learningRate": 0.0005},
                "log": "metrics",
                "name": "again",
            },
        ),
        Step("distill/step", {"run": "again", "steps": 2}),
        Step("distill/status", {"history": 2}),
        Step("distill/fork", {"run": "again", "name": "other"}),
        Step("distill/resume", {"run": "other", "untilStep": 3}),
        Step("distill/pause", {"run": "other"}, pause=2),
        Step("distill/save", {"run": "other", "path": "other-run"}),
        Step("distill/stop", {"run": "other"}),
        Step("distill/stop", {"run": "again"}),
        Step("distill/load", {"path": "other-run", "name": "third"}),
        Step("distill/commit", {"run": "third"}),
        Step(
            "distill/start",
            {
                "student": "sapling",
                "teacher": {"model": "sapling", "revision": "r0"},
                "dataset": "calibration",
                "objectives": [
                    {"plugin": "jensen-shannon", "parameters": {"beta": 0.25}, "temperature": 2, "temperatureScale": "none"},
                    {"plugin": "hidden-mse", "weight": 0.1, "place": "output", "layers": [[2, 2], [5, 5]]},
                    "cross-entropy",
                ],
                "balance": "fixed",
                "optimizer": {"weightDecay": 0.01, "maximumNorm": 1},
                "schedule": {"shape": "linear", "learningRate": 0.0001, "warmupSteps": 1, "minimum": 0},
                "steps": 2,
                "batch": 2,
                "accumulation": 2,
                "precision": "bf16",
                "teacherCache": "bf16",
                "onPolicy": {"fraction": 0.5, "maxTokens": 8, "promptTokens": 4, "adaptive": {"memory": 8}},
                "validation": {"dataset": "short", "everySteps": 2},
                "checkpoint": {"path": "checkpoints", "everySteps": 1, "keep": 1},
            },
        ),
        Step("distill/step", {"run": "run1", "steps": 2, "partialResultToken": "steps"}),
        Step("model/load", {"source": "builtin:sapling", "name": "recipe"}),
        Step(
            "distill/recipe",
            {
                "model": "recipe",
                "rounds": {
                    "sparsity": 0.5,
                    "prune": {"plugin": "magnitude"},
                    "teach": {"dataset": "calibration", "steps": 2, "batch": 2},
                    "rewind": "r0",
                },
            },
        ),
        Step("model/unload", {"model": "recipe"}),
        Step(
            "selftest/gradients",
            {"model": "sapling", "revision": "r1", "length": 8, "modules": ["*.layers.0.*_proj.*", "model.norm.*"]},
        ),
        Step(
            "selftest/gradients",
            {"model": "sapling", "dataset": "short", "modules": ["*.layers.5.*norm.*"], "samples": 16, "seed": 1},
        ),
        Step("selftest/gradients", {"model": "sapling", "tokens": [1, 2, 3, 5, 8], "modules": ["*.0.mlp.up*"]}),
        Step(
            "dataset/load",
            {"model": "sapling", "path": "builtin:arithmetic", "sequenceLength": 32, "name": "sums", "task": {"count": 4}},
        ),
        Step(
            "importance/score",
            {
                "model": "sapling",
                "plugin": "reward",
                "dataset": "sums",
                "reward": {"rewards": [{"plugin": "format-regex", "parameters": {"pattern": "the", "match": "part"}}], "completions": 4, "maxTokens": 8},
                "modules": ["*.layers.0.mlp.up*"],
            },
        ),
        Step("model/export", {"model": "sapling", "revision": "r1", "path": "sapling-pruned", "format": "hf"}),
        Step(
            "model/export",
            {"model": "sapling", "path": "sapling-pruned", "format": "hf", "overwrite": True, "workDoneToken": 1},
        ),
        Step("evaluate/perplexity", {"model": "sapling", "dataset": "evaluation", "workDoneToken": "t"}, waits=False),
        Step("job/list", pause=0.2),
        Step("job/cancel", {"job": "j91"}),
        Step(
            "dataset/load",
            {
                "text": '{"prompt": "2 + 2 =", "completion": " 4", "answer": "4"}\n{"text": "To be, or not to be"}\n',
                "model": "sapling",
                "format": "jsonl",
                "sequenceLength": 32,
                "packing": "bestFit",
                "name": "sums",
            },
        ),
        Step(
            "dataset/generate",
            {
                "model": "sapling",
                "revision": "r0",
                "prompts": ["ROMEO:", "To be, or not"],
                "maxTokens": 16,
                "temperature": 0.8,
                "seed": 7,
                "path": "written.jsonl",
                "name": "written",
            },
        ),
        Step(
            "dataset/generate",
            {
                "model": "sapling",
                "revision": "r0",
                "prompts": ["ROMEO:", "To be, or not", "JULIET:"],
                "maxTokens": 16,
                "temperature": 0.8,
                "seed": 7,
                "path": "written.jsonl",
                "packing": "bestFit",
                "sequenceLength": 64,
                "batch": 2,
            },
        ),
        Step("dataset/generate", {"model": "sapling", "dataset": "short", "promptTokens": 8, "maxTokens": 4, "topK": 9}),
        Step("dataset/generate", {"model": "sapling", "count": 3, "maxTokens": 4, "topP": 0.9, "workDoneToken": "w"}),
        Step("dataset/list"),
        Step("evaluate/perplexity", {"model": "sapling", "revision": "r0", "dataset": "written"}),
        Step("importance/score", {"model": "sapling", "revision": "r0", "plugin": "magnitude", "unit": "width"}),
        Step("importance/query", {"scores": "u1", "layer": 2}),
        Step("importance/list"),
        Step("mask/apply", {"model": "sapling", "scores": "u1", "sparsity": 0.25, "group": "global", "uniform": True}),
        Step("prune/shrink", {"model": "sapling", "name": "small"}),
        Step("model/describe", {"model": "small"}),
        Step("mask/edit", {"model": "small", "edits": [{"op": "prune", "channels": [3]}, {"op": "prune", "layers": [1]}]}),
        Step("model/unload", {"model": "small"}),
        Step("plugin/unload", {"plugin": "magnitude"}),
        Step("plugin/load", {"path": "<program>/libespalier-magnitude.so"}),
        Step("server/status", pause=0.05),
        Step("shutdown"),
    ]


def run(daemon, program):
    """Makes the tour and returns its steps with requests and answers; what comes besides is in `daemon`.

    program: the folder of the program.
    """
    made = steps()
    for number, step in enumerate(made, 1):
        step.request = {"jsonrpc": "2.0", "id": number, "method": step.method}
        if step.params is not None:
            step.request["params"] = {
                key: value.replace("<program>", str(program)) if isinstance(value, str) else value
                for key, value in step.params.items()
            }
        time.sleep(step.pause)
        daemon.send(step.request)
        pending = {n for n, s in enumerate(made[:number], 1) if not s.answer}
        while step.waits and not step.answer:
            message = daemon.receive()
            if "method" in message:
                daemon.notifications.append(message)
                continue
            assert message["id"] in pending, f"an answer to nothing: {message}"
            made[message["id"] - 1].answer = message
    daemon.notify("exit", {})
    return made
