"""Writes objectives.golden.safetensors: what distillation losses and their gradients should be, in double.

Losses are written from their definitions and differentiated by torch.autograd; every gradient is held against central
differences here before it is written. The student's logits are perturbed, so the softmax is part of what is checked.

predictions/CASE/student, /teacher     F64 [V] logits; -infinity for tokens that are not there
predictions/CASE/target                I64 [1]
objective/ID/PARAMETERS/CASE/loss      F64 [1];  PARAMETERS is "-" or "name=value,name=value"
objective/ID/PARAMETERS/CASE/gradient  F32 [V]

features/CASE/student, /teacher        F32 [R, width]
features/CASE/lengths, /heads          I64
features/CASE/counted                  U8 [R]
feature/ID/PARAMETERS/CASE/loss        F64 [1]
feature/ID/PARAMETERS/CASE/gradient    F32 [R, width]
feature/contrastive-memory/... has a second call on the reversed features with the memory of the first: again/loss,
again/gradient.

Versions and seed are in the metadata.
"""
import functools
import json
import math
import pathlib
import platform

import numpy as np
import torch
from safetensors.numpy import save

SEED = 20261121
torch.set_default_dtype(torch.float64)


def central(f, x, step):
    """Central differences of fourth order of f in every finite element of x."""
    gradient = torch.zeros_like(x)
    flat, out = x.reshape(-1), gradient.reshape(-1)
    for i in range(flat.numel()):
        kept = flat[i].item()
        around = []
        for offset in (-2, -1, 1, 2):
            flat[i] = kept + offset * step
            around.append(f(x).item())
        flat[i] = kept
        out[i] = (around[0] - 8 * around[1] + 8 * around[2] - around[3]) / (12 * step)
    return gradient


def differentiate(f, x, name, kinks=None):
    """Value and gradient of f at x; central differences must agree with the gradient.
    `kinks`: "near" if f has kinks, "here" if at x itself, where there is nothing to check."""
    leaf = x.clone().requires_grad_()
    value = f(leaf)
    (gradient,) = torch.autograd.grad(value, leaf, allow_unused=True)
    gradient = torch.zeros_like(x) if gradient is None else gradient
    assert torch.isfinite(gradient).all(), name
    if kinks != "here":
        with torch.no_grad():
            error = (central(f, x.clone(), 1e-7 if kinks else 3e-4) - gradient).abs().max().item()
        scale = max(gradient.abs().max().item(), abs(value.item()), 1e-2)
        assert error <= 1e-6 * scale, (name, error, scale)
    return value.item(), gradient.numpy()


# ------------------------------------------------------------------------------------------------------- predictions


def predictions(rng):
    def normal(size, scale):
        return rng.standard_normal(size) * scale

    small = normal(11, 2)
    tied = small.copy()
    tied[[1, 4, 7, 9]] = 1.5
    hot = np.full(11, -np.inf)
    hot[6] = 0
    # Tokens that are only there to fill the vocabulary up.
    holes_s, holes_t = normal(40, 3), normal(40, 3)
    holes_s[[0, 17, 38, 39]] = holes_t[[0, 17, 38, 39]] = -np.inf
    return {
        "one": (normal(1, 1), normal(1, 1), 0),
        "small": (normal(11, 2), small, 3),
        "tied": (normal(11, 2), tied, 3),
        "one-hot": (normal(11, 2), hot, 6),
        "equal": (small, small.copy(), 5),
        "holes": (holes_s, holes_t, 5),
        "near": (near := normal(150, 2), near + normal(150, 1e-3), 149),
        "odd": (normal(1031, 2), normal(1031, 2), 0),
        "peaked": (normal(200, 12), normal(200, 12), 77),
    }


def xlogy(p, log):
    """p log, 0 where p is 0, whatever the logarithm is."""
    there = p > 0
    return torch.where(there, p * torch.where(there, log, torch.zeros_like(log)), torch.zeros_like(p))


class Objectives:
    """Losses of one position, functions of the student's logits that are there."""

    def __init__(self, teacher, target):
        self.log_p = torch.log_softmax(teacher, 0)
        self.p = self.log_p.exp()
        self.target = target

    def forward(self, log_q):
        return xlogy(self.p, self.log_p - log_q).sum()

    def reverse(self, log_q):
        return (log_q.exp() * (log_q - self.log_p)).sum()

    def cross_entropy(self, u):
        return -torch.log_softmax(u, 0)[self.target]

    def forward_kl(self, u):
        return self.forward(torch.log_softmax(u, 0))

    def reverse_kl(self, u):
        return self.reverse(torch.log_softmax(u, 0))

    def jensen_shannon(self, u, beta=0.5, scaled="false"):
        log_q = torch.log_softmax(u, 0)
        if beta in (0, 1):
            return self.reverse(log_q) if beta else self.forward(log_q)
        q = log_q.exp()
        log_m = (beta * self.p + (1 - beta) * q).log()
        value = beta * xlogy(self.p, self.log_p - log_m).sum() + (1 - beta) * (q * (log_q - log_m)).sum()
        return value / (beta * (1 - beta)) if scaled == "true" else value

    def skewed_forward_kl(self, u, alpha=0.1):
        log_q = torch.log_softmax(u, 0)
        if alpha == 0:
            return self.forward(log_q)
        m = alpha * self.p + (1 - alpha) * log_q.exp()
        return xlogy(self.p, self.log_p - torch.where(self.p > 0, m, torch.ones_like(m)).log()).sum()

    def skewed_reverse_kl(self, u, alpha=0.1):
        log_q = torch.log_softmax(u, 0)
        if alpha == 0:
            return self.reverse(log_q)
        q = log_q.exp()
        return (q * (log_q - (alpha * q + (1 - alpha) * self.p).log())).sum()

    def symmetric_kl(self, u, ratio=0.5):
        log_q = torch.log_softmax(u, 0)
        return (ratio * self.forward(log_q) if ratio else 0) + ((1 - ratio) * self.reverse(log_q) if ratio < 1 else 0)

    def total_variation(self, u):
        return 0.5 * (self.p - torch.log_softmax(u, 0).exp()).abs().sum()  # as p, so that equals are equal

    def top_k_kl(self, u, k=64, meaning="tail-bucket"):
        log_q = torch.log_softmax(u, 0)
        if k >= len(u):
            return self.forward(log_q)
        order = np.lexsort((np.arange(len(u)), -self.log_p.numpy()))  # larger ones first, of equal ones lower ids
        top = torch.from_numpy(np.sort(order[:k]))
        rest = torch.from_numpy(np.sort(order[k:]))
        p, log_p, log_q_top = self.p[top], self.log_p[top], log_q[top]
        if meaning == "renormalised-both":
            log_p = log_p - p.sum().log()
            return xlogy(log_p.exp(), log_p - (log_q_top - log_q_top.logsumexp(0))).sum()
        if meaning == "teacher-renormalised":
            log_p = log_p - p.sum().log()
            return xlogy(log_p.exp(), log_p - log_q_top).sum()
        value = xlogy(p, log_p - log_q_top).sum()
        if meaning == "raw":
            return value
        tail = self.p[rest].sum()
        return value + xlogy(tail, tail.log() - log_q[rest].logsumexp(0))

    @functools.cache
    def drawn(self, draws, seed):
        """Tokens by inversion of the cumulative distribution."""
        ends, state = np.cumsum(self.p.numpy()), seed
        tokens = []
        for _ in range(draws):
            point, state = uniform(state)
            point *= ends[-1]
            # A plugin has p in fp32: the draw must not hang on the last digits.
            assert np.abs(ends - point).min() > 2e-7, "take another seed"
            tokens.append(int(np.searchsorted(ends, point, side="right")))
        return torch.tensor(tokens)

    def sampled_kl(self, u, draws=50, seed=SEED):
        tokens = self.drawn(draws, seed)
        return (self.log_p[tokens] - torch.log_softmax(u, 0)[tokens]).mean()


def uniform(state):
    """SplitMix64: a number in 0 ..< 1 and the next state."""
    mask = (1 << 64) - 1
    state = (state + 0x9E3779B97F4A7C15) & mask
    z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return ((z ^ (z >> 31)) >> 11) * 2.0**-53, state


MEANINGS = ("renormalised-both", "tail-bucket", "teacher-renormalised", "raw")
VARIANTS = {
    "cross-entropy": [{}],
    "forward-kl": [{}],
    "reverse-kl": [{}],
    "jensen-shannon": [{"beta": b} for b in (0, 1e-4, 0.3, 0.5, 0.9, 0.9999, 1)]
    + [{"beta": b, "scaled": "true"} for b in (0, 1e-4, 0.3, 0.5, 0.9999, 1)],
    "skewed-forward-kl": [{"alpha": a} for a in (0, 0.001, 0.1, 0.7, 1)],
    "skewed-reverse-kl": [{"alpha": a} for a in (0, 0.001, 0.1, 0.7, 1)],
    "symmetric-kl": [{"ratio": r} for r in (0, 0.25, 0.5, 1)],
    "total-variation": [{}],
    "top-k-kl": [{"k": k, "meaning": m} for k in (1, 3, 30, 2000) for m in MEANINGS],
    "sampled-kl": [{"draws": 1}, {"draws": 50}],
}

def is_infinite(case, identifier, parameters):
    """Whether it looks at log p where p is 0."""
    if case != "one-hot":
        return False
    return (
        identifier == "reverse-kl"
        or (identifier == "jensen-shannon" and parameters["beta"] == 1)
        or (identifier == "skewed-reverse-kl" and parameters["alpha"] == 0)
        or (identifier == "symmetric-kl" and parameters["ratio"] < 1)
    )


def words(parameters):
    return ",".join(f"{name}={value}" for name, value in parameters.items()) or "-"


def add_objectives(rng, out):
    for case, (student, teacher, target) in predictions(rng).items():
        out[f"predictions/{case}/student"] = student
        out[f"predictions/{case}/teacher"] = teacher
        out[f"predictions/{case}/target"] = np.array([target])
        there = np.isfinite(student)
        losses = Objectives(torch.from_numpy(teacher[there]), int(np.cumsum(there)[target]) - 1)
        u = torch.from_numpy(student[there])
        for identifier, variants in VARIANTS.items():
            for parameters in variants:
                if is_infinite(case, identifier, parameters):
                    continue
                name = f"objective/{identifier}/{words(parameters)}/{case}"
                loss = lambda x: getattr(losses, identifier.replace("-", "_"))(x, **parameters)
                kinks = None
                if identifier == "total-variation":
                    kinks = "here" if case in ("equal", "one") else "near"
                value, slope = differentiate(loss, u, name, kinks)
                gradient = np.zeros_like(student)
                gradient[there] = slope
                out[name + "/loss"] = np.array([value])
                out[name + "/gradient"] = gradient.astype(np.float32)


# ---------------------------------------------------------------------------------------------------------- features


def features(rng):
    def case(lengths, student, teacher, heads, uncounted):
        rows = sum(lengths)
        counted = np.ones(rows, np.uint8)
        counted[list(uncounted)] = 0
        t = rng.standard_normal((rows, teacher)).astype(np.float32)
        s = rng.standard_normal((rows, student)).astype(np.float32)
        if student == teacher:
            s = (t + 0.5 * s).astype(np.float32)
        return {"lengths": lengths, "heads": heads, "student": s, "teacher": t, "counted": counted}

    return {
        "same": case([5, 3, 7, 1], 12, 12, 3, [0, 1, 8, 9, 12]),
        "wider": case([6, 4], 8, 20, 4, [0, 3]),
        "alone": case([9], 6, 6, 1, []),
        "silent": case([4, 3], 6, 6, 2, [0, 1, 2, 3]),  # nothing of the first sequence counts
    }


class FeatureObjectives:
    """Losses of features, functions of the student's."""

    def __init__(self, case):
        self.t = torch.from_numpy(case["teacher"].astype(np.float64))
        self.counted = torch.from_numpy(case["counted"]).bool()
        ends = np.cumsum(case["lengths"])
        self.sequences = [slice(e - n, e) for e, n in zip(ends, case["lengths"])]
        self.heads = case["heads"]

    def hidden_cosine(self, s):
        return (1 - torch.cosine_similarity(s, self.t, dim=1))[self.counted].sum()

    def hidden_mse(self, s):
        return ((s - self.t) ** 2).mean(1)[self.counted].sum()

    def attention_relation(self, s, heads=0, causal="true"):
        heads = heads or self.heads

        def relations(x):
            split = x.reshape(len(x), heads, -1).transpose(0, 1)
            z = split @ split.transpose(1, 2) / math.sqrt(split.shape[2])
            if causal == "true":
                z = z.masked_fill(~torch.ones_like(z[0]).tril().bool(), -math.inf)
            return torch.log_softmax(z, -1)

        value = 0
        for where in self.sequences:
            log_p, log_q = relations(self.t[where]), relations(s[where])
            seen = torch.isfinite(log_p)
            zero = torch.zeros_like(log_p)
            terms = torch.where(seen, log_p.exp() * (torch.where(seen, log_p, zero) - torch.where(seen, log_q, zero)), zero)
            value = value + terms.sum(-1).mean(0)[self.counted[where]].sum()
        return value

    def feature_map(self, s):
        value = 0 * s.sum()
        for where in self.sequences:
            chosen = self.counted[where]
            count = int(chosen.sum())
            if count == 0:
                continue
            maps = [torch.nn.functional.normalize(x @ x.T, dim=1) for x in (s[where][chosen], self.t[where][chosen])]
            value = value + ((maps[0] - maps[1]) ** 2).sum() / count
        return value

    def pooled(self, x):
        means = [x[w][self.counted[w]].mean(0) for w in self.sequences if self.counted[w].any()]
        return torch.nn.functional.normalize(torch.stack(means), dim=1)

    def info_nce(self, s, tau=0.07):
        scores = self.pooled(s) @ self.pooled(self.t).T / tau
        return -torch.log_softmax(scores, 1).diagonal().sum()

    def contrastive_memory(self, s, bank=1024, tau=0.07, memory=()):
        t = self.pooled(self.t)
        others = torch.stack(list(memory)) if memory else torch.zeros(0, s.shape[1])
        value = 0 * s.sum()
        for mine, right in zip(self.pooled(s), t):
            scores = torch.cat([right[None], others]) @ mine / tau
            value = value - torch.log_softmax(scores, 0)[0]
        return value


FEATURE_VARIANTS = {
    "hidden-cosine": [{}],
    "hidden-mse": [{}],
    "attention-relation": [{}, {"causal": "false"}, {"heads": 2}, {"heads": 1, "causal": "false"}],
    "feature-map": [{}],
    "info-nce": [{}, {"tau": 0.5}],
    "contrastive-memory": [{"bank": 2, "tau": 0.3}, {"bank": 16, "tau": 0.07}],
}
SAME_WIDTH = ("hidden-cosine", "hidden-mse", "info-nce", "contrastive-memory")


def reversed_rows(case):
    """The same with rows and lengths from the end: what a second call sees."""
    flipped = {name: np.ascontiguousarray(case[name][::-1]) for name in ("student", "teacher", "counted")}
    return {**case, **flipped, "lengths": case["lengths"][::-1]}


def add_features(rng, out):
    for key, case in features(rng).items():
        for name in ("student", "teacher", "counted"):
            out[f"features/{key}/{name}"] = case[name]
        out[f"features/{key}/lengths"] = np.array(case["lengths"])
        out[f"features/{key}/heads"] = np.array([case["heads"]])
        for identifier, variants in FEATURE_VARIANTS.items():
            if identifier in SAME_WIDTH and case["student"].shape != case["teacher"].shape:
                continue
            for parameters in variants:
                name = f"feature/{identifier}/{words(parameters)}/{key}"
                add_feature(name, identifier, parameters, case, out)


def add_feature(name, identifier, parameters, case, out, **more):
    losses = FeatureObjectives(case)
    loss = lambda x: getattr(losses, identifier.replace("-", "_"))(x, **parameters, **more)
    value, gradient = differentiate(loss, torch.from_numpy(case["student"].astype(np.float64)), name)
    out[name + "/loss"] = np.array([value])
    out[name + "/gradient"] = gradient.astype(np.float32)
    if identifier == "contrastive-memory" and not more:
        memory = list(losses.pooled(losses.t))[-parameters["bank"] :]
        add_feature(name + "/again", identifier, parameters, reversed_rows(case), out, memory=memory)


# -------------------------------------------------------------------------------------------------------------- file


def goldens():
    rng = np.random.default_rng(SEED)
    out = {}
    add_objectives(rng, out)
    add_features(rng, out)
    return out


if __name__ == "__main__":
    path = pathlib.Path(__file__).with_name("objectives.golden.safetensors")
    metadata = {"generator": "Tests/PluginHostTests/Goldens/objective_goldens.py", "seed": str(SEED),
                "torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version()}
    data = save(goldens())
    length = int.from_bytes(data[:8], "little")  # metadata in order, so that the bytes are always the same
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = metadata
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    print(path, path.stat().st_size, "bytes")
