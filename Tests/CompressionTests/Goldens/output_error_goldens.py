"""Writes output_error.golden.safetensors: output_error_goldens.py [FOLDER]

What numpy gives in double for linear maps whose weights change, from the outputs themselves and no Gram matrix:

NAME.weights  F32 [rows, n]  W
NAME.new      F32 [rows, n]  W', nothing like W's structure is assumed
NAME.bias     F32 [rows]     b, added to the new map's output
NAME.inputs   F32 [T, n]     X, one token a row, with a mean and with columns of very different sizes
NAME.error    F64 [2]        |(W - W') X|^2 / |W X|^2, and the same with b: |(W' - W) X + b|^2 / |W X|^2

Deterministic: running it again changes nothing.
"""
import platform
import sys
from pathlib import Path

import numpy
import torch
from safetensors.torch import save

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Support"))
from goldens import write_golden  # noqa: E402

SCRIPT = "Tests/CompressionTests/Goldens/output_error_goldens.py"
SEED = 20263
# name, rows, inputs, tokens, share of the weights that is 0 in W', factor of the noise on the others
CASES = [
    ("half", 9, 40, 70, 0.5, 0.0), ("refit", 30, 33, 20, 0.3, 0.1), ("nearly", 5, 24, 50, 0.0, 1e-3),
    ("all", 3, 7, 4, 1.0, 0.0),
]


def case(random: numpy.random.Generator, rows: int, n: int, tokens: int, zeros: float, noise: float) -> dict:
    weights = random.standard_normal((rows, n)).astype(numpy.float32)
    new = (weights * (1 + noise * random.standard_normal((rows, n)))).astype(numpy.float32)
    new[random.random((rows, n)) < zeros] = 0
    scale = 10 ** random.uniform(-1.5, 1.5, n)
    inputs = ((random.standard_normal((tokens, n)) + 0.5) * scale).astype(numpy.float32)
    bias = random.standard_normal(rows).astype(numpy.float32)
    W, V, X, b = (array.astype(numpy.float64) for array in (weights, new, inputs, bias))
    energy = numpy.sum((X @ W.T) ** 2)
    change = X @ (V - W).T
    errors = [numpy.sum(change ** 2) / energy, numpy.sum((change + b) ** 2) / energy]
    return {"weights": weights, "new": new, "bias": bias, "inputs": inputs, "error": numpy.array(errors)}


def main(folder: Path) -> None:
    random = numpy.random.default_rng(SEED)
    tensors = {}
    for name, *sizes in CASES:
        for key, array in case(random, *sizes).items():
            tensors[f"{name}.{key}"] = torch.from_numpy(array)
    metadata = {
        "generator": SCRIPT, "numpy": numpy.__version__, "python": platform.python_version(), "seed": str(SEED)}
    write_golden(
        folder / "output_error.golden.safetensors", save(tensors, metadata=metadata),
        dict(sorted(metadata.items())))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
