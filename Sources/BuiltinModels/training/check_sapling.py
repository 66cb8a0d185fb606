"""How much pruning hurts `sapling`: the figures that Espalier's own engine is tested against.

    python check_sapling.py

prints held-out perplexities for random, magnitude and Wanda masks, and writes them with the loss
of every window to `sapling_reference.json`. It reads the model folder only; nothing here shares
code with Espalier.

Protocol. A text is tokenised once, without special tokens; its first 32 x 256 tokens are the
windows, contiguous, each evaluated by itself from position 0: mean cross-entropy over the 255
targets, perplexity = exp(mean over windows). Arithmetic is fp32 on the stored bf16 weights, means
are in double. Pruned are the seven linear tensors of every layer.
- random: floor(numel * sparsity) weights of each matrix, drawn without replacement.
- magnitude: the floor(numel * sparsity) smallest |w| of each matrix, stable sort.
- Wanda (Sun et al. 2023): per row the floor(columns * sparsity) smallest |w| * sqrt(statistic),
  stable sort; the statistic of an input is the mean over calibration windows of its sum of squares
  over tokens. Layer by layer: inputs come from layers that are pruned already.
"""

import argparse
import json
import math
import platform
from pathlib import Path

import safetensors
import tokenizers
import torch
import torch.nn.functional as F
import transformers
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

transformers.utils.logging.disable_progress_bar()

WINDOWS, LENGTH = 32, 256
SPARSITIES = (0.5, 0.6)


# --- Evaluation ----------------------------------------------------------------------------------


def windows(tokenizer: Tokenizer, text: str) -> list[torch.Tensor]:
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    return list(torch.tensor(ids[: WINDOWS * LENGTH]).view(WINDOWS, LENGTH))


@torch.no_grad()
def window_losses(model: LlamaForCausalLM, data: list[torch.Tensor]) -> list[float]:
    """Mean cross-entropy of each window, in nats."""
    losses = []
    for ids in data:
        logits = model(input_ids=ids[None], use_cache=False).logits[0, :-1]
        losses.append(F.cross_entropy(logits, ids[1:], reduction="none").double().mean().item())
    return losses


def perplexity(model: LlamaForCausalLM, data: list[torch.Tensor]) -> float:
    return exp_mean(window_losses(model, data))


def exp_mean(losses: list[float]) -> float:
    return math.exp(math.fsum(losses) / len(losses))


# --- Pruning -------------------------------------------------------------------------------------


def linears(layer: torch.nn.Module) -> list[torch.nn.Linear]:
    return [module for module in layer.modules() if isinstance(module, torch.nn.Linear)]


@torch.no_grad()
def prune_lowest(linear: torch.nn.Linear, scores: torch.Tensor, sparsity: float) -> None:
    """Zeroes the lowest scores of every row of `scores`; reshape it to compare more at once."""
    count = math.floor(scores.shape[1] * sparsity)
    lowest = torch.sort(scores, dim=1, stable=True).indices[:, :count]
    linear.weight.data.view(scores.shape).scatter_(1, lowest, 0.0)


def prune_random(model: LlamaForCausalLM, sparsity: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for linear in linears(model.model.layers):
        scores = torch.rand(1, linear.weight.numel(), generator=generator, dtype=torch.float64)
        prune_lowest(linear, scores, sparsity)


def prune_magnitude(model: LlamaForCausalLM, sparsity: float) -> None:
    for linear in linears(model.model.layers):
        prune_lowest(linear, linear.weight.detach().abs().view(1, -1), sparsity)


def prune_wanda(model: LlamaForCausalLM, sparsity: float, calibration: list[torch.Tensor]) -> None:
    for layer in model.model.layers:
        statistics = input_statistics(model, linears(layer), calibration)
        for linear, statistic in zip(linears(layer), statistics):
            prune_lowest(linear, linear.weight.detach().abs() * statistic.sqrt().float(), sparsity)


@torch.no_grad()
def input_statistics(
    model: LlamaForCausalLM, observed: list[torch.nn.Linear], data: list[torch.Tensor]
) -> list[torch.Tensor]:
    """Mean over windows of the sum over tokens of x^2, per input of each observed linear."""
    sums = [torch.zeros(linear.in_features, dtype=torch.float64) for linear in observed]

    def add_to(sum_of_squares):
        def hook(_, inputs):
            sum_of_squares.add_(inputs[0].double().square().sum((0, 1)))
        return hook

    hooks = [linear.register_forward_pre_hook(add_to(s)) for linear, s in zip(observed, sums)]
    for ids in data:
        model(input_ids=ids[None], use_cache=False)
    for hook in hooks:
        hook.remove()
    return [s / len(data) for s in sums]


# --- Report --------------------------------------------------------------------------------------


def measure(folder: Path, seed: int) -> dict:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    evaluation = windows(tokenizer, (folder / "evaluation.txt").read_text())
    calibration = windows(tokenizer, (folder / "calibration.txt").read_text())
    rows = []

    def add(method: str, sparsity: float, prune) -> None:
        model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        prune(model)
        weights = [linear.weight for linear in linears(model.model.layers)]
        zeros = sum(int((w == 0).sum()) for w in weights) / sum(w.numel() for w in weights)
        losses = window_losses(model, evaluation)
        rows.append({
            "method": method,
            "sparsity": sparsity,
            "zeros": zeros,
            "perplexity": exp_mean(losses),
            "lossPerWindow": losses,
        })

    add("dense", 0.0, lambda model: None)
    for s in SPARSITIES:
        add("random", s, lambda model: prune_random(model, s, seed))
        add("magnitude", s, lambda model: prune_magnitude(model, s))
        add("wanda", s, lambda model: prune_wanda(model, s, calibration))

    return {
        "model": "sapling",
        "protocol": f"{WINDOWS} x {LENGTH} tokens, contiguous, no special tokens; fp32, "
        "losses in nats; see check_sapling.py",
        "seed": seed,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "tokenizers": tokenizers.__version__,
            "safetensors": safetensors.__version__,
        },
        "evaluationTokens": evaluation[0][:64].tolist(),
        "rows": rows,
    }


def table(rows: list[dict]) -> str:
    """The README's table."""
    at = {(row["method"], row["sparsity"]): row["perplexity"] for row in rows}
    lines = [f"dense: {at['dense', 0.0]:.4f}", "", "| sparsity | random | magnitude | Wanda |"]
    lines.append("|---|---|---|---|")
    for s in SPARSITIES:
        cells = (f"{at[method, s]:.2f}" for method in ("random", "magnitude", "wanda"))
        lines.append(f"| {s:.0%} | {' | '.join(cells)} |")
    return "\n".join(lines)


def report(folder: Path, reference: Path, seed: int) -> None:
    """Measures, writes the reference file, prints the table, and insists on the order."""
    measured = measure(folder, seed)
    reference.write_text(json.dumps(measured, indent=1) + "\n")
    print(table(measured["rows"]))
    at = {(row["method"], row["sparsity"]): row["perplexity"] for row in measured["rows"]}
    for s in SPARSITIES:
        if not at["random", s] > at["magnitude", s] > at["wanda", s] > at["dense", 0.0]:
            raise SystemExit(f"at {s:.0%} the methods are not in their usual order")


def main() -> None:
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description="measure how much pruning hurts sapling")
    parser.add_argument("--model", type=Path, default=here.parent / "Resources" / "sapling")
    parser.add_argument("--reference", type=Path, default=here / "sapling_reference.json")
    parser.add_argument("--seed", type=int, default=1616)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    report(args.model, args.reference, args.seed)


if __name__ == "__main__":
    main()
