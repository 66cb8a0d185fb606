"""Writes topk.golden.safetensors: topk_goldens.py [FOLDER]

For every N:M below, groups of M scores with many ties, and what torch.topk(scores, N, dim=1, largest=False) chooses on
a CPU; this is how the published N:M masks are made (Sun et al. 2023, `torch.topk(..., prune_n, dim=1, largest=False)`).

scores N:M  F32 [groups, M]   few distinct values, some negative, some -0
chosen N:M  U8 [groups, M]    1 where topk chose the score

Made with PyTorch 2.13; version and seed are in the metadata. Deterministic: running it again changes nothing.
"""
import sys
from pathlib import Path

import torch
from safetensors.torch import save

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Support"))
from goldens import write_golden  # noqa: E402

SEED = 424
SCRIPT = "Tests/TensorsTests/Goldens/topk_goldens.py"
VALUES = 1024  # of each pattern, about
PATTERNS = [(1, 2), (1, 3), (1, 4), (2, 4), (3, 4), (2, 5), (4, 8), (6, 8), (5, 16), (8, 16), (16, 32), (1, 63), (1, 64),
            (2, 100), (50, 100), (1, 128), (2, 128), (3, 129), (4, 256), (128, 256), (255, 256)]


def scores(m: int, generator: torch.Generator) -> torch.Tensor:
    """A quarter of the groups each with 2, 3, 8 and 100 distinct values."""
    levels = torch.tensor([2, 3, 8, 100]).repeat_interleave(max(1, VALUES // m // 4))[:, None]
    drawn = (torch.rand(len(levels), m, generator=generator) * levels).floor() - 1
    signs = 1 - 2 * torch.randint(2, drawn.shape, generator=generator)
    return torch.where(drawn == 0, signs * 0.0, drawn / 4)


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(SEED)
    tensors = {}
    for n, m in PATTERNS:
        drawn = scores(m, generator)
        indices = torch.topk(drawn, n, dim=1, largest=False).indices
        tensors[f"scores {n}:{m}"] = drawn
        tensors[f"chosen {n}:{m}"] = torch.zeros(drawn.shape, dtype=torch.uint8).scatter_(1, indices, 1)
    write_golden(
        folder / "topk.golden.safetensors", save(tensors),
        {"generator": SCRIPT, "seed": str(SEED), "torch": torch.__version__})


if __name__ == "__main__":
    main()
