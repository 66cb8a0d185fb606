"""Writes blocks.golden.safetensors: blocks_goldens.py [FOLDER]

For every block-quantised type of GGUF, blocks of random and of extreme content, and the fp32 values that gguf-py makes
of them, as their bits:

stored TYPE  U8  [rows, bytes]     each row one block, or eight for types whose blocks have 32 elements
bits TYPE    I32 [rows, elements]  the bits of gguf.dequantize's float32

Scales and minimums (fp16) are ordinary, negative, subnormal of both signs, zero of both signs, the largest and the
smallest there are; codes and small scales are random, all zero and all one. Made with gguf 0.19 (numpy, float32 without
fused multiply-add); versions and seed are in the metadata. Deterministic: running it again changes nothing.
"""
import sys
from importlib.metadata import version
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import save

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Support"))
from goldens import write_golden  # noqa: E402

SEED = 256
SCRIPT = "Tests/TensorsTests/Goldens/blocks_goldens.py"
# Where the fp16 numbers of a block lie.
HALVES = {"q8_0": [0], "q4_0": [0], "q4_1": [0, 2], "q5_0": [0], "q5_1": [0, 2], "q2_k": [80, 82], "q3_k": [108],
          "q4_k": [0, 2], "q5_k": [0, 2], "q6_k": [208]}
SCALES = [0x2E66, 0xB266, 0x0001, 0x83FF, 0x0000, 0x8000, 0x7BFF, 0xFBFF]
ROWS = 9


def blocks(name: str, rng: np.random.Generator) -> np.ndarray:
    elements, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name.upper()]]
    per_row = 256 // elements
    made = rng.integers(0, 256, (ROWS * per_row, size), dtype=np.uint8)
    made[1::per_row * 3] = 0xFF
    made[2::per_row * 3] = 0
    for row, block in enumerate(made):
        for place, at in enumerate(HALVES[name]):
            # The minimum runs through the scales at another pace, so that all kinds meet.
            scale = SCALES[(row + 3 * place * (row // len(SCALES) + 1)) % len(SCALES)]
            block[at:at + 2] = np.array([scale], "<u2").view(np.uint8)
    return made.reshape(ROWS, per_row * size)


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent)
    rng = np.random.default_rng(SEED)
    tensors = {}
    for name in HALVES:
        stored = blocks(name, rng)
        values = gguf.dequantize(stored, gguf.GGMLQuantizationType[name.upper()])
        assert values.shape == (ROWS, 256) and values.dtype == np.float32 and np.isfinite(values).all(), name
        tensors[f"stored {name}"] = stored
        tensors[f"bits {name}"] = values.view(np.int32)
    write_golden(
        folder / "blocks.golden.safetensors", save(tensors),
        {"generator": SCRIPT, "seed": str(SEED), "gguf": version("gguf"), "numpy": np.__version__})


if __name__ == "__main__":
    main()
