"""Writes policy.golden.safetensors: policy_goldens.py [FOLDER]

Learning from rewards as numpy and PyTorch compute it.

advantages.rewards       F64 [2, 6, 4]    two rewards of six groups of four; group 1 is flat in both, group 2 in the first
advantages.weights       F64 [2]
advantages.NAME          F64 [6, 4]       NAME: group, batch, none (of the weighted sum), normalised-sum

loss.logits              F32 [R, V]       loss.tokens I32 [R], loss.advantages, .old, .reference, .weights F64 [R]
loss.NAME.value          F64 [1]          the sum over the rows, weights included
loss.NAME.rows           F64 [R]          each row's, without its weight
loss.NAME.gradient       F64 [R, V]       of the sum in the logits, by autograd, in double
                                          NAME: ESTIMATOR[.corrected].TEMPERATURE, with clips 0.2 and 0.28 and beta 0.04

steps.prompts            I32 [G, P]       fixed samples: two prompts, four completions each, cut to lengths
steps.completions        I32 [G, M, T]    steps.lengths I32 [G, M], steps.rewards F64 [G, M]
steps.RUN.old            F64 [G, M, T]    log-probabilities of an older policy: the model's own, with noise
steps.RUN.reference      F64 [G, M, T]    the model's before the first step
steps.RUN.teacher        F64 [G, M, T]    of qwen3 (run dr-grpo)
steps.RUN.losses         F64 [20]         before each of 20 steps of AdamW (rate 0.0001, betas 0.9 and 0.95, decay 0.1 of
                                          matrices, gradient clipped at norm 1) of llama3 of TransformersTests
steps.RUN.clipped        F64 [20]         the fraction of clipped tokens
                                          RUN: grpo (k3, beta 0.04), dapo (k3 corrected, beta 0.1, temperature 0.9, high
                                          clip 0.28), dr-grpo (k2, beta 0.05, teacher term 0.3 with discount 0.5)

Logits in fp32 as the model computes them, everything after them in double. Deterministic: running it again changes
nothing. No token may come so near a clip that rounding decides; the script stops if one does.
"""
import platform
import sys
from pathlib import Path

import numpy
import torch
import transformers
from safetensors.torch import save
from transformers import AutoModelForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Support"))
from goldens import write_golden  # noqa: E402

SCRIPT = "Tests/CompressionTests/Goldens/policy_goldens.py"
MODELS = Path(__file__).resolve().parents[2] / "TransformersTests" / "Goldens"
SEED, EPSILON = 20261124, 1e-4
GROUPS, MEMBERS, PROMPT, LONGEST, STEPS = 2, 4, 5, 9, 20
# clip, clipHigh, beta, estimator, corrected, temperature, teacher weight, discount
RUNS = {
    "grpo": (0.2, 0.2, 0.04, "k3", False, 1.0, 0.0, 0.0),
    "dapo": (0.2, 0.28, 0.1, "k3", True, 0.9, 0.0, 0.0),
    "dr-grpo": (0.2, 0.2, 0.05, "k2", False, 1.0, 0.3, 0.5),
}


def advantages(generator: numpy.random.Generator) -> dict[str, numpy.ndarray]:
    rewards = numpy.round(generator.normal(size=(2, 6, 4)), 3)
    rewards[:, 1], rewards[0, 2] = 0.1, 0.7
    weights = numpy.array([1.0, -0.35])
    total = numpy.tensordot(weights, rewards, 1)
    centred = total - total.mean(1, keepdims=True)
    centred[1] = 0  # equal rewards, whatever the rounding of their mean
    each = (rewards - rewards.mean(2, keepdims=True)) / (rewards.std(2, ddof=1, keepdims=True) + EPSILON)
    each[:, 1], each[0, 2] = 0, 0
    mixed = numpy.tensordot(weights, each, 1)
    return {
        "rewards": rewards, "weights": weights,
        "group": centred / (total.std(1, ddof=1, keepdims=True) + EPSILON),
        "batch": centred / (total.std(ddof=1) + EPSILON), "none": centred,
        "normalised-sum": (mixed - mixed.mean()) / (mixed.std(ddof=1) + EPSILON),
    }


def policy_loss(logs: torch.Tensor, old: torch.Tensor, reference: torch.Tensor, advantage: torch.Tensor,
                clip: float, high: float, beta: float, estimator: str, corrected: bool) -> torch.Tensor:
    """Of each token, from its log-probability."""
    ratio = torch.exp(logs - old)
    surrogate = -torch.min(ratio * advantage, ratio.clamp(1 - clip, 1 + high) * advantage)
    difference = reference - logs
    divergence = {"k1": -difference, "k2": difference ** 2 / 2, "k3": difference.exp() - difference - 1}[estimator]
    return surrogate + beta * (ratio * divergence if corrected else divergence)


def losses(generator: torch.Generator) -> dict[str, torch.Tensor]:
    rows, vocabulary = 24, 13
    logits = 2 * torch.randn(rows, vocabulary, generator=generator)
    tokens = torch.randint(vocabulary, (rows,), generator=generator, dtype=torch.int32)
    own = logits.double().log_softmax(-1).gather(-1, tokens.long()[:, None])[:, 0]
    made = {
        "logits": logits, "tokens": tokens,
        "old": own + 0.4 * torch.randn(rows, generator=generator, dtype=torch.float64),
        "reference": own + 0.6 * torch.randn(rows, generator=generator, dtype=torch.float64),
        "advantages": torch.randn(rows, generator=generator, dtype=torch.float64),
        "weights": torch.rand(rows, generator=generator, dtype=torch.float64) / rows,
    }
    for estimator in ("k1", "k2", "k3"):
        for corrected in (False, True):
            for temperature in (1.0, 0.7):
                z = logits.double().requires_grad_()
                x = (z / temperature).log_softmax(-1).gather(-1, tokens.long()[:, None])[:, 0]
                each = policy_loss(
                    x, made["old"], made["reference"], made["advantages"], 0.2, 0.28, 0.04, estimator, corrected)
                value = (made["weights"] * each).sum()
                value.backward()
                name = f"{estimator}{'.corrected' if corrected else ''}.{temperature}"
                made |= {f"{name}.value": value.detach()[None], f"{name}.rows": each.detach(),
                         f"{name}.gradient": z.grad}
    return made


def model(name: str) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(
        MODELS / name, dtype=torch.float32, attn_implementation="eager", local_files_only=True).eval()


class Samples:
    """The fixed samples, and their tokens' log-probabilities under a model."""

    def __init__(self, generator: torch.Generator):
        self.prompts = torch.randint(101, (GROUPS, PROMPT), generator=generator, dtype=torch.int32)
        self.completions = torch.randint(101, (GROUPS, MEMBERS, LONGEST), generator=generator, dtype=torch.int32)
        self.lengths = torch.randint(1, LONGEST + 1, (GROUPS, MEMBERS), generator=generator, dtype=torch.int32)
        self.rewards = torch.rand(GROUPS, MEMBERS, generator=generator, dtype=torch.float64)
        self.mask = torch.arange(LONGEST) < self.lengths[..., None]
        self.noise = 0.15 * torch.randn(GROUPS, MEMBERS, LONGEST, generator=generator, dtype=torch.float64)

    def advantages(self) -> torch.Tensor:
        mean, deviation = self.rewards.mean(1, keepdim=True), self.rewards.std(1, keepdim=True)
        return ((self.rewards - mean) / (deviation + EPSILON))[..., None].expand(-1, -1, LONGEST)

    def logs(self, of: torch.nn.Module, temperature: float) -> torch.Tensor:
        prompts = self.prompts[:, None].expand(-1, MEMBERS, -1)
        tokens = torch.cat([prompts, self.completions], -1).flatten(0, 1).long()
        logits = of(tokens).logits[:, PROMPT - 1:-1].double() / temperature
        logs = logits.log_softmax(-1).gather(-1, tokens[:, PROMPT:, None])[..., 0]
        return logs.view(GROUPS, MEMBERS, LONGEST).where(self.mask, 0)

    def mean(self, each: torch.Tensor, run: str) -> torch.Tensor:
        each = each.where(self.mask, 0)
        if run == "grpo":
            return (each.sum(-1) / self.lengths).mean()
        if run == "dapo":
            return each.sum() / self.lengths.sum()
        return each.sum() / (GROUPS * MEMBERS * LONGEST)


def credits(teacher: torch.Tensor, student: torch.Tensor, samples: Samples, discount: float) -> torch.Tensor:
    """Of each token: the discounted mean of what the teacher thinks more of it and its followers."""
    made = torch.zeros_like(teacher)
    for group in range(GROUPS):
        for member in range(MEMBERS):
            length = int(samples.lengths[group, member])
            for t in range(length):
                factors = discount ** torch.arange(length - t, dtype=torch.float64)
                gain = (teacher - student)[group, member, t:length]
                made[group, member, t] = (factors * gain).sum() / factors.sum()
    return made


def steps(generator: torch.Generator) -> dict[str, torch.Tensor]:
    samples = Samples(generator)
    made = {"prompts": samples.prompts, "completions": samples.completions, "lengths": samples.lengths,
            "rewards": samples.rewards}
    for run, (clip, high, beta, estimator, corrected, temperature, weight, discount) in RUNS.items():
        student = model("llama3")
        with torch.no_grad():
            reference = samples.logs(student, temperature)
            old = (reference + samples.noise).where(samples.mask, 0)
            made |= {f"{run}.old": old, f"{run}.reference": reference}
            advantage = samples.advantages()
            if weight > 0:
                teacher = samples.logs(model("qwen3"), temperature)
                made[f"{run}.teacher"] = teacher
                advantage = advantage + weight * credits(teacher, old, samples, discount)
        weights = list(student.parameters())
        optimizer = torch.optim.AdamW(
            [{"params": [each for each in weights if each.ndim >= 2], "weight_decay": 0.1},
             {"params": [each for each in weights if each.ndim == 1], "weight_decay": 0.0}],
            lr=1e-4, betas=(0.9, 0.95), eps=1e-8, foreach=False)
        values, fractions = [], []
        for step in range(STEPS):
            optimizer.zero_grad()
            logs = samples.logs(student, temperature)
            each = policy_loss(logs, old, reference, advantage, clip, high, beta, estimator, corrected)
            loss = samples.mean(each, run)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0, foreach=False)
            optimizer.step()
            ratio = (logs - old).exp().detach()
            near = torch.minimum((ratio - 1 + clip).abs(), (ratio - 1 - high).abs())[samples.mask].min()
            assert near > 1e-5, f"{run}, step {step}: a ratio is {near} from a clip; take another seed"
            clipped = ((ratio < 1 - clip) & (advantage < 0)) | ((ratio > 1 + high) & (advantage > 0))
            values.append(loss.detach())
            fractions.append((clipped & samples.mask).sum() / samples.lengths.sum())
        made |= {f"{run}.losses": torch.stack(values), f"{run}.clipped": torch.stack(fractions).double()}
        print(run, [round(float(value), 5) for value in values], [round(float(each), 3) for each in fractions[::5]])
    return made


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    tensors = {f"advantages.{name}": torch.from_numpy(values).contiguous()
               for name, values in advantages(numpy.random.default_rng(SEED)).items()}
    generator = torch.Generator().manual_seed(SEED)
    tensors |= {f"loss.{name}": values.contiguous() for name, values in losses(generator).items()}
    tensors |= {f"steps.{name}": values.contiguous() for name, values in steps(generator).items()}
    metadata = {
        "generator": SCRIPT, "numpy": numpy.__version__, "python": platform.python_version(), "seed": str(SEED),
        "torch": torch.__version__, "transformers": transformers.__version__,
    }
    write_golden(folder / "policy.golden.safetensors", save(tensors, metadata=metadata), metadata)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
