"""Writes adamw.golden.safetensors: adamw_goldens.py [FOLDER]

For every case below, what torch.optim.AdamW (one tensor at a time, neither fused nor amsgrad) makes of random weights
over random gradients, in fp32 and from the same numbers in double:

CASE.weights         F32 [n]         before the first step
CASE.gradients       F32 [steps, n]  over five orders of magnitude
CASE.single.PART     F32 [n]         behind the last step; PART is weights, first or second
CASE.double.PART     F64 [n]         the same in double

Made with PyTorch 2.13; version, seed and the cases' numbers are in the metadata. Deterministic: running it again changes
nothing.
"""
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Support"))
from goldens import write_golden  # noqa: E402

SEED, STEPS, WEIGHTS = 425, 40, 259
SCRIPT = "Tests/TensorsTests/Goldens/adamw_goldens.py"
CASES = {  # the defaults of PyTorch; those of language models; slow averages; no decay
    "usual": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2},
    "language": {"lr": 3e-3, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.1},
    "slow": {"lr": 1e-4, "betas": (0.99, 0.9999), "eps": 1e-6, "weight_decay": 0.3},
    "plain": {"lr": 1e-2, "betas": (0.8, 0.98), "eps": 1e-8, "weight_decay": 0.0},
}


def stepped(weights: torch.Tensor, gradients: torch.Tensor, options: dict) -> dict[str, torch.Tensor]:
    weights = torch.nn.Parameter(weights.clone())
    optimizer = torch.optim.AdamW([weights], foreach=False, fused=False, **options)
    for gradient in gradients:
        weights.grad = gradient.clone()
        optimizer.step()
    state = optimizer.state[weights]
    return {"weights": weights.detach(), "first": state["exp_avg"], "second": state["exp_avg_sq"]}


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(SEED)
    tensors = {}
    for name, options in CASES.items():
        weights = torch.randn(WEIGHTS, generator=generator)
        sizes = 10 ** (torch.rand(WEIGHTS, generator=generator) * 5 - 5)
        gradients = torch.randn(STEPS, WEIGHTS, generator=generator) * sizes
        tensors |= {f"{name}.weights": weights, f"{name}.gradients": gradients}
        single, double = stepped(weights, gradients, options), stepped(weights.double(), gradients.double(), options)
        tensors |= {f"{name}.single.{part}": values for part, values in single.items()}
        tensors |= {f"{name}.double.{part}": values for part, values in double.items()}
        for part in single:
            error = ((single[part] - double[part]).abs() / double[part].abs()).median()
            print(f"{name}.{part}: fp32 is off by {error:.1e} of a value, in the median")
    metadata = {
        "generator": SCRIPT, "seed": str(SEED), "torch": torch.__version__, "cases": json.dumps(CASES),
    }
    data = save({name: values.contiguous() for name, values in tensors.items()})
    write_golden(folder / "adamw.golden.safetensors", data, metadata)


if __name__ == "__main__":
    main()
