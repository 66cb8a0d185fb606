"""Writes distillation.golden.safetensors: distillation_goldens.py [FOLDER]

Distillation as PyTorch carries it out: llama3 (masked, hidden size 20, 101 tokens) learns from llama-linear (hidden size
24, 117 tokens), both of TransformersTests, of whose vocabularies the first 95 entries are shared.

tokens            I32 [6, 19]    sequences, gone through in order; a step takes four, two at a time
projection.0, .1  F32 [24, 20]   the maps from the student's width to the teacher's before the first step
RUN.losses        F64 [20]       as minimised, before each of 20 steps of AdamW (betas 0.9 and 0.95, decay 0.1 of matrices,
                                 gradient clipped at norm 1 with the maps' together), rate 0.002 with a warm-up of 4 steps
                                 from 0 and half a cosine to a tenth: the rate of step s, from 1, is that at s
RUN.gradientNorms F64 [20]       before clipping, of masked gradients and those of the maps
RUN.alphas        F64 [20]       runs with dynamic balance: the mean over the batches of what is inside was scaled by
                                 RUN: see RUNS

A loss is the mean over the positions that count of the whole step; those on logits are at a temperature and times its
square. The student's logits beyond the shared ones take no part. Losses in double from logits and states in fp32; all of
it once more in double, and the script stops if the two differ by more than rounding. Deterministic: running it again
changes nothing.
"""
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save
from transformers import AutoModelForCausalLM

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "TransformersTests" / "Goldens"
sys.path[:0] = [str(ROOT / "Support"), str(MODELS)]
from family_models import blocks  # noqa: E402
from family_numbers import without_upcasts  # noqa: E402
from goldens import write_golden  # noqa: E402

SCRIPT = "Tests/CompressionTests/Goldens/distillation_goldens.py"
SEED, STEPS, SEQUENCES, LENGTH, SHARED, BATCH, ACCUMULATION = 20261121, 20, 6, 19, 95, 2, 2
RATE, WARMUP, MINIMUM = 2e-3, 4, 0.1
# Objectives: name, weight, temperature. Features: place, (student's layer, teacher's layer) pairs, weight. Balance.
RUNS = {
    "forward-kl": ([("forward-kl", 1.0, 2.0)], [], False),
    "jensen-shannon": ([("jensen-shannon", 1.0, 1.0)], [], False),
    "mixed": ([("cross-entropy", 0.3, 1.0), ("forward-kl", 0.7, 3.0)], [], False),
    "hidden-cosine": ([("forward-kl", 1.0, 2.0)], [("output", [(0, 0), (2, 1)], 0.8)], False),
    "balanced": ([("forward-kl", 1.0, 1.0)], [("output", [(1, 0)], 1.0), ("embedding", [(0, 0)], 0.5)], True),
}


def rate(step: int) -> float:
    if step < WARMUP:
        return RATE * step / WARMUP
    progress = torch.tensor((step - WARMUP) / (STEPS - WARMUP), dtype=torch.float64)
    return float(RATE * (MINIMUM + (1 - MINIMUM) * 0.5 * (1 + torch.cos(torch.pi * progress))))


def objective(name: str, student: torch.Tensor, teacher: torch.Tensor, target: torch.Tensor, T: float) -> torch.Tensor:
    """Of each position."""
    q, p = (student / T).log_softmax(-1), (teacher / T).log_softmax(-1)
    if name == "cross-entropy":
        return -q.gather(-1, target[..., None])[..., 0]
    if name == "forward-kl":
        return T * T * (p.exp() * (p - q)).sum(-1)
    m = torch.logaddexp(p, q) - torch.log(torch.tensor(2.0, dtype=torch.float64))
    return T * T * 0.5 * ((p.exp() * (p - m)).sum(-1) + (q.exp() * (q - m)).sum(-1))


def looked(model: torch.nn.Module, tokens: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The shared logits, and what enters the first block and leaves each, all but the last position of each sequence."""
    states: list[torch.Tensor] = []
    hooks = [blocks(model)[0].register_forward_pre_hook(
        lambda _, arguments, named: states.append(arguments[0] if arguments else named["hidden_states"]),
        with_kwargs=True)]
    hooks += [block.register_forward_hook(
        lambda _, arguments, output: states.append(output[0] if isinstance(output, tuple) else output))
        for block in blocks(model)]
    logits = model(input_ids=tokens, use_cache=False).logits
    for hook in hooks:
        hook.remove()
    return logits[:, :-1, :SHARED].double(), [state[:, :-1].double() for state in states]


def trained(run: str, tokens: torch.Tensor, projections: list[torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    objectives, features, balanced = RUNS[run]
    load: Callable[[str], torch.nn.Module] = lambda name: AutoModelForCausalLM.from_pretrained(
        MODELS / name, dtype=torch.float32, attn_implementation="eager", local_files_only=True).eval().to(dtype)
    student, teacher = load("llama3"), load("llama-linear")
    golden = load_file(MODELS / "llama3.golden.safetensors")
    masks = {name[5:]: values for name, values in golden.items() if name.startswith("mask.")}
    weights = dict(student.named_parameters())
    maps = [torch.nn.Parameter(values.clone().to(dtype)) for values in projections[:len(features)]]
    learnt = list(weights.values()) + maps
    optimizer = torch.optim.AdamW(
        [{"params": [each for each in learnt if each.ndim >= 2], "weight_decay": 0.1},
         {"params": [each for each in learnt if each.ndim == 1], "weight_decay": 0.0}],
        lr=RATE, betas=(0.9, 0.95), eps=1e-8, foreach=False)

    @torch.no_grad()
    def mask(part: Callable[[torch.Tensor], torch.Tensor]) -> None:
        for name, kept in masks.items():
            part(weights[name]).mul_(kept)

    mask(lambda weight: weight)
    losses, norms, alphas = [], [], []
    counted = BATCH * ACCUMULATION * (LENGTH - 1)
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        total, scales = 0.0, []
        for number in range(ACCUMULATION):
            first = ((step - 1) * ACCUMULATION + number) * BATCH
            batch = tokens[[(first + i) % SEQUENCES for i in range(BATCH)]].long()
            z, inside = looked(student, batch)
            with torch.no_grad():
                y, expected = looked(teacher, batch)
            onLogits = sum(weight * objective(name, z, y, batch[:, 1:], T).sum() / counted
                           for name, weight, T in objectives)
            within = torch.zeros((), dtype=torch.float64)
            for (place, pairs, weight), map_ in zip(features, maps):
                for mine, other in pairs:
                    s = inside[0 if place == "embedding" else mine + 1] @ map_.double().T
                    t = expected[0 if place == "embedding" else other + 1]
                    within = within + weight * (1 - torch.cosine_similarity(s, t, dim=-1)).sum() / (counted * len(pairs))
            alpha = (onLogits / within).detach() if balanced else 1.0
            loss = onLogits + alpha * within
            loss.backward()
            total += loss.detach()
            scales.append(alpha)
        mask(lambda weight: weight.grad)
        norms.append(torch.nn.utils.clip_grad_norm_(learnt, 1.0, foreach=False).double())
        losses.append(total)
        if balanced:
            alphas.append(torch.stack(scales).mean())
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
        mask(lambda weight: weight)
    made = {"losses": torch.stack(losses), "gradientNorms": torch.stack(norms)}
    return made | ({"alphas": torch.stack(alphas)} if balanced else {})


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    generator = torch.Generator().manual_seed(SEED)
    tokens = torch.randint(SHARED, (SEQUENCES, LENGTH), generator=generator, dtype=torch.int32)
    projections = [torch.randn(24, 20, generator=generator) / 20 ** 0.5 for _ in range(2)]
    tensors = {"tokens": tokens} | {f"projection.{i}": values for i, values in enumerate(projections)}
    for run in RUNS:
        made = trained(run, tokens, projections, torch.float32)
        with without_upcasts():
            exact = trained(run, tokens, projections, torch.float64)
        error = max(((made[key] - exact[key]).abs() / exact[key].abs()).max().item() for key in exact)
        print(f"{run}: {made['losses'][0]:.5f} to {made['losses'][-1]:.5f}, relative error of fp32 {error:.1e}")
        if error > 2e-5:
            raise SystemExit(f"{run}: fp32 and double differ by more than rounding: nothing written")
        tensors |= {f"{run}.{key}": values for key, values in made.items()}
    metadata = {
        "generator": SCRIPT, "python": platform.python_version(), "seed": str(SEED), "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    data = save({key: values.contiguous() for key, values in tensors.items()}, metadata=metadata)
    write_golden(folder / "distillation.golden.safetensors", data, metadata)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
