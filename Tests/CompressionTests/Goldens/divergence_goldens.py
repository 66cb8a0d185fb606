"""Writes divergence.golden.safetensors: divergence_goldens.py [FOLDER]

For each pair of tiny models of TransformersTests below, MODEL.from.REFERENCE, what transformers and PyTorch say of the
model's next-token distributions on the tokens of the reference's golden:

grouped-f32.from.grouped-f32 is the model with columns 0 to 9 of PRUNED zero, compared with itself as it is.

NAME.tokens      I32 [2, 19]  two sequences
NAME.kl          F64 [2, 18]  KL(reference || model) in nats of each position that predicts a token
NAME.losses      F64 [2, 18]  the model's -log softmax of the next token
NAME.reference   F64 [2, 18]  the reference's
NAME.same        F64 [2, 18]  1 where both have their largest logit at the same token
NAME.quantiles   F64 [4]      of kl: 0.5, 0.9, 0.99 and the maximum, by numpy

Logits in fp32 as the models compute them, everything after them in double. Deterministic: running it again changes
nothing.
"""
import platform
import sys
from pathlib import Path

import numpy
import torch
import transformers
from safetensors.torch import load_file, save
from transformers import AutoModelForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Support"))
from goldens import write_golden  # noqa: E402

SCRIPT = "Tests/CompressionTests/Goldens/divergence_goldens.py"
MODELS = Path(__file__).resolve().parents[2] / "TransformersTests" / "Goldens"
PRUNED = "model.layers.1.mlp.down_proj.weight"
PAIRS = [
    ("grouped-f32", "grouped-f32"), ("grouped-f32", "tied-bf16"), ("tied-bf16", "grouped-f32"),
    ("wide-heads-f16", "grouped-f32"), ("qwen3", "llama3"), ("gpt2", "qwen2"),
]


def logits(name: str, tokens: torch.Tensor, pruned: bool = False) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(
        MODELS / name, dtype=torch.float32, attn_implementation="eager", local_files_only=True).eval()
    with torch.no_grad():
        if pruned:
            model.get_parameter(PRUNED)[:, :10] = 0
        return model(tokens.long()).logits[:, :-1].double()


def compare(name: str, reference: str) -> dict[str, torch.Tensor]:
    tokens = load_file(MODELS / f"{reference}.golden.safetensors")["tokens"]
    own, other = logits(name, tokens, pruned=name == reference), logits(reference, tokens)
    q, p = own.log_softmax(-1), other.log_softmax(-1)
    kl = torch.nn.functional.kl_div(q, p, log_target=True, reduction="none").sum(-1)
    targets = tokens[:, 1:, None].long()
    quantiles = numpy.quantile(kl.numpy().ravel(), [0.5, 0.9, 0.99, 1])
    return {
        "tokens": tokens, "kl": kl, "losses": -q.gather(-1, targets)[..., 0],
        "reference": -p.gather(-1, targets)[..., 0], "same": (own.argmax(-1) == other.argmax(-1)).double(),
        "quantiles": torch.from_numpy(quantiles),
    }


def main(folder: Path) -> None:
    tensors = {}
    for name, reference in PAIRS:
        for key, tensor in compare(name, reference).items():
            tensors[f"{name}.from.{reference}.{key}"] = tensor.contiguous()
    metadata = {
        "generator": SCRIPT, "numpy": numpy.__version__, "python": platform.python_version(),
        "torch": torch.__version__, "transformers": transformers.__version__,
    }
    write_golden(
        folder / "divergence.golden.safetensors", save(tensors, metadata=metadata),
        dict(sorted(metadata.items())))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
