"""Writes solvers.golden.safetensors: what solvers, compensators and refiners should answer on small matrices.

Every method is written once more here from its paper, in double, by other means than the plugins' where there are any:
SparseGPT by inverting the Hessian of the columns left at each column, ADMM and ALPS by solving instead of inverting,
least squares by numpy.linalg.lstsq on the inputs themselves, exchanges by computing the error of every pair anew.

MATRIX/weights, /gram, /cross       F32 [rows, columns], [columns, columns] twice
MATRIX/moments                      F64 [3, columns]: sums over tokens of x, x^2, |x|
MATRIX/counts                       I64: sequences, tokens
MATRIX/METHOD/GROUP/kept            U8 [rows, columns]; GROUP is matrix, row, column or pattern: see BUDGETS;
                                    of solvers and refiners, and of METHOD mask
MATRIX/METHOD/GROUP/weights         F32 [rows, columns], of solvers and compensators
MATRIX/METHOD/GROUP/error           F64: ||W X - W' X||^2 from the Gram matrix
MATRIX/mean-to-bias/GROUP/bias      F32 [rows]

Compensators and refiners start from the mask of METHOD mask: Wanda's scores under the budget. Blocks of SparseGPT have
16 columns, `admm-plain` has finish none, gram-swap tries all candidates. Matrix `dead` has inputs that are always 0.

Made with numpy 2.4; version and seed are in the metadata. Deterministic but for the last bits of its linear algebra.
"""
import json
import pathlib
import platform

import numpy as np
from safetensors.numpy import save

SEED = 20261121
BLOCK = 16
INFINITY = float("inf")


# ------------------------------------------------------------------------------------------------------------- data


def inputs(rng, columns, sequences=4, length=48):
    """Correlated inputs with means and a few loud channels: x [columns, tokens]; and z, the same before pruning."""
    mix = rng.standard_normal((columns, columns)) * 0.4 + np.eye(columns)
    z = mix @ rng.standard_normal((columns, sequences * length)) + rng.standard_normal((columns, 1)) * 0.7
    z[:: max(columns // 5, 1)] *= 4
    x = z + 0.15 * rng.standard_normal(z.shape) * z.std(axis=1, keepdims=True)
    return x.astype(np.float32).astype(np.float64), z.astype(np.float32).astype(np.float64)


def case(rng, rows, columns, sequences=4, length=48, dead=()):
    x, z = inputs(rng, columns, sequences, length)
    for j in dead:
        x[j] = z[j] = 0
    w = (rng.standard_normal((rows, columns)) * (0.3 + rng.random((1, columns)))).astype(np.float32)
    return {
        "w": w.astype(np.float64), "x": x, "z": z, "sequences": sequences,
        # The plugins see Gram matrices in fp32; the references start from the same numbers.
        "gram": (x @ x.T).astype(np.float32).astype(np.float64),
        "cross": (z @ x.T).astype(np.float32).astype(np.float64),
    }


def error(w, new, gram):
    """||W X - W' X||^2 from the Gram matrix."""
    d = w - new
    return float(np.sum((d @ gram) * d))


def damped(gram, fraction):
    return gram + fraction * np.mean(np.diag(gram)) * np.eye(len(gram))


# ------------------------------------------------------------------------------------------------------------ masks


def smallest(values, count):
    """Kept mask of a flat array without its `count` smallest magnitudes, first ones first among ties."""
    kept = np.ones(values.shape, bool)
    kept[np.argsort(np.abs(values), kind="stable")[:count]] = False
    return kept


def project(values, budget):
    """Kept mask of the largest magnitudes: budget is ("matrix" | "row" | "column", s) or ("pattern", n, m)."""
    rows, columns = values.shape
    if budget[0] == "pattern":
        n, m = budget[1:]
        groups = values.reshape(-1, m)
        return np.stack([smallest(g, n) for g in groups]).reshape(rows, columns)
    s = budget[1]
    if budget[0] == "row":
        return np.stack([smallest(r, int(columns * s)) for r in values])
    if budget[0] == "column":
        return np.ascontiguousarray(np.stack([smallest(c, int(rows * s)) for c in values.T]).T)
    return smallest(values.ravel(), int(values.size * s)).reshape(values.shape)


# ---------------------------------------------------------------------------------------------------------- solvers


def sparsegpt(c, budget, block=BLOCK, damping=0.01):
    """Frantar and Alistarh 2023, algorithm 1, with the inverse of the Hessian of the columns left, equation 3."""
    w, h = c["w"].copy(), 2 / c["sequences"] * c["gram"]
    rows, columns = w.shape
    dead = np.diag(h) == 0
    h[dead, dead] = 1
    w[:, dead] = 0
    h = damped(h, damping)
    inverses = [np.linalg.inv(h[j:, j:]) for j in range(columns)]
    diagonal = np.array([i[0, 0] for i in inverses])
    kept, pruned = np.ones(w.shape, bool), 0
    for first in range(0, columns, block):
        end = min(first + block, columns)
        scores = w[:, first:end] ** 2 / diagonal[first:end]
        if budget[0] == "matrix":
            # One more than the floor, as their code has it; but of all columns so far at most one for each 128.
            floor = int(rows * end * budget[1])
            count = min(int(scores.size * budget[1]) + 1, floor + -(-end // 128) - pruned)
            threshold = np.sort(scores.ravel())[count - 1]
            kept[:, first:end] = scores > threshold
            pruned += count
        elif budget[0] == "row":
            count = int(end * budget[1]) - int(first * budget[1])
            kept[:, first:end] = np.stack([smallest(r, count) for r in scores])
        elif budget[0] == "column":
            kept[:, first:end] = project(scores, budget)
        for j in range(first, end):
            if budget[0] == "pattern" and j % budget[2] == 0:
                n, m = budget[1:]
                group = w[:, j : j + m] ** 2 / diagonal[j : j + m]
                kept[:, j : j + m] = np.stack([smallest(r, n) for r in group])
            rest = np.where(kept[:, j], w[:, j], 0)
            e = (w[:, j] - rest) / diagonal[j]
            w[:, j:] -= np.outer(e, inverses[j][0])
            w[:, j] = rest
    return kept, np.where(kept, w, 0)


def scaled(gram, damping):
    g = gram + damping * np.mean(np.diag(gram)) * np.eye(len(gram))
    norms = np.sqrt(np.diag(g))
    return norms, g / np.outer(norms, norms)


def admm(c, budget, iterations=20, mask_iterations=15, damping=0.1, finish=0.01):
    """Boza 2024, algorithm 1, with the cubic schedule."""
    norms, gram = scaled(c["gram"], 0)
    gram = damped(gram, damping)
    dense = c["w"] * norms
    w, u, aim = dense.copy(), np.zeros(dense.shape), dense @ gram
    kept = np.ones(w.shape, bool)
    for t in range(1, iterations + 1):
        if t <= mask_iterations:
            share = 1 if t == mask_iterations else 1 - (1 - t / mask_iterations) ** 3
            if budget[0] == "pattern":
                n, m = budget[1:]
                kept = project(w + u, budget)
                if share < 1:
                    candidates = np.where(kept, INFINITY, np.abs(w + u))
                    kept = project(candidates, ("matrix", share * n / m))
            else:
                kept = project(w + u, (budget[0], budget[1] * share))
        z = np.where(kept, w + u, 0)
        u = u + w - z
        w = np.linalg.solve(gram + np.eye(len(gram)), (aim + z - u).T).T
    plain = np.where(kept, w + u, 0) / norms
    return kept, plain if finish is None else least_squares(c, kept, finish)


def alps(c, budget, damping=0.01, iterations=300, steps=10):
    """Meng et al. 2024: splitting with the rho schedule, then conjugate gradients on the support."""
    norms, gram = scaled(c["gram"], damping)
    dense = c["w"] * norms
    aim = dense @ gram
    first = project(dense, budget)
    b, d, v = dense.copy(), np.where(first, dense, 0), np.zeros(dense.shape)
    before, rho, grown = first, 0.1, False
    for i in range(iterations):
        b = np.linalg.solve(gram + rho * np.eye(len(gram)), (aim - v + rho * d).T).T
        d = b + v / rho
        kept = project(d, budget)
        d = np.where(kept, d, 0)
        v = v + rho * (b - d)
        if (i + 1) % 3:
            continue
        changed = np.sum(kept != before)
        before = kept
        share = changed / np.sum(kept)
        if share > 0.005:
            rho, grown = rho * (1.3 if share > 0.1 else 1.2), True
        elif grown:
            if changed == 0:
                break
            rho *= 1.1
        else:
            rho /= 5
            if changed:
                b, d, v = dense.copy(), np.where(first, dense, 0), np.zeros(dense.shape)
        if i >= 30 and share < 0.0003:
            break
    kept = project(b, budget)
    x = np.where(kept, b, 0)
    r = np.where(kept, aim - x @ gram, 0)
    p = r.copy()
    for _ in range(steps):
        q = p @ gram
        squares = np.sum(r * r, axis=1, keepdims=True)
        alpha = squares / np.maximum(np.sum(p * q, axis=1, keepdims=True), 1e-300)
        x = x + alpha * p
        r = np.where(kept, r - alpha * q, 0)
        p = r + np.sum(r * r, axis=1, keepdims=True) / np.maximum(squares, 1e-300) * p
    return kept, x / norms


# ----------------------------------------------------------------------------------------------------- compensators


def least_squares(c, kept, damping=0.01, dense_inputs=False):
    """min ||W Z - W' X||^2 + d ||W - W'||^2 on the mask, Z = X unless dense_inputs, from the tokens themselves."""
    w, x = c["w"], c["x"]
    d = damping * np.mean(np.diag(c["gram"]))
    a = np.vstack([x.T, np.sqrt(d) * np.eye(len(x))])
    source = c["z"] if dense_inputs else x
    b = np.vstack([source.T @ w.T, np.sqrt(d) * w.T])
    new = np.zeros(w.shape)
    for i, mask in enumerate(kept):
        if mask.any():
            new[i, mask] = np.linalg.lstsq(a[:, mask], b[:, i], rcond=None)[0]
    return new


def uniform_move(c, kept, budget):
    w, new = c["w"], np.where(kept, c["w"], 0)
    rows, columns = w.shape
    index = np.arange(rows * columns).reshape(rows, columns)
    kinds = {"matrix": [index.ravel()], "row": list(index), "column": list(index.T)}
    groups = kinds[budget[0]] if budget[0] in kinds else list(index.reshape(-1, budget[2]))
    for g in groups:
        k = kept.ravel()[g]
        if k.any() and not k.all():
            new.ravel()[g[k]] += w.ravel()[g[~k]].sum() / k.sum()
    return new


def mean_to_bias(c, kept):
    return np.where(kept, 0, c["w"]) @ c["x"].mean(axis=1)


# --------------------------------------------------------------------------------------------------------- refiners


def wanda(c):
    return np.abs(c["w"]) * np.sqrt(np.sum(c["x"] ** 2, axis=1) / c["sequences"])


def dsnot(c, kept, pattern=None, cycles=50, threshold=0.1):
    """Zhang et al. 2024 with lists sorted once and pointers into them, as the authors' code has it."""
    gains = c["w"] * (np.sum(c["x"], axis=1) / c["sequences"])
    variance = np.var(c["x"], axis=1)
    scores, new = wanda(c), kept.copy()
    for i in range(len(gains)):
        g, was = gains[i], kept[i]
        e = g[~was].sum()
        sign = 1 if e > 0 else -1
        restores = [j for j in np.argsort(-sign * g / variance, kind="stable") if not was[j] and g[j] * sign > 0]
        by_score = np.argsort(scores[i], kind="stable")
        prunes = [j for j in by_score if was[j] and g[j] * sign < 0]
        used = set()
        for cycle in range(cycles):
            if abs(e) <= threshold or cycle >= len(restores):
                break
            p = restores[cycle]
            if pattern:
                m = pattern[1]
                left = [j for j in by_score if was[j] and j // m == p // m and j not in used]
                if not left:
                    continue
                u = left[0]
            elif cycle < len(prunes):
                u = prunes[cycle]
            else:
                break
            used.add(u)
            after = e + g[u] - g[p]
            if after * sign <= 0:
                break
            new[i, p], new[i, u], e = True, False, after
    return new


def gram_swap(c, kept, pattern=None, swaps=0.25):
    """Greedy best exchange of a row, the error of every pair computed anew."""
    w, gram, new = c["w"], c["gram"], kept.copy()
    for i in range(len(w)):
        def row_error(mask):
            e = np.where(mask, 0, w[i])
            return e @ gram @ e
        now = start = row_error(new[i])
        for _ in range(int(np.ceil(swaps * np.sum(~kept[i])))):
            best = (now, None)
            for p in np.flatnonzero(~new[i]):
                for u in np.flatnonzero(new[i]):
                    if pattern and p // pattern[1] != u // pattern[1]:
                        continue
                    trial = new[i].copy()
                    trial[p], trial[u] = True, False
                    best = min(best, (row_error(trial), (p, u)), key=lambda pair: pair[0])
            if best[1] is None or best[0] - now >= -1e-12 * start:
                break
            now = best[0]
            new[i, best[1][0]], new[i, best[1][1]] = True, False
    return new


# ------------------------------------------------------------------------------------------------------------- file

BUDGETS = {"matrix": ("matrix", 0.5), "row": ("row", 0.55), "column": ("column", 0.4), "pattern": ("pattern", 2, 4)}


def goldens():
    rng = np.random.default_rng(SEED)
    cases = {
        "small": case(rng, 24, 32),
        "wide": case(rng, 40, 64, sequences=6, length=64),
        "dead": case(rng, 24, 32, dead=(3, 20)),
    }
    out = {}

    def put(name, c, kept, weights=None):
        if kept is not None:
            out[name + "/kept"] = np.ascontiguousarray(kept, np.uint8)
        if weights is not None:
            out[name + "/weights"] = np.ascontiguousarray(weights, np.float32)
            out[name + "/error"] = np.array([error(c["w"], weights, c["gram"])])

    for key, c in cases.items():
        out[key + "/weights"] = c["w"].astype(np.float32)
        out[key + "/gram"] = c["gram"].astype(np.float32)
        out[key + "/cross"] = c["cross"].astype(np.float32)
        moments = np.stack([c["x"].sum(1), (c["x"] ** 2).sum(1), np.abs(c["x"]).sum(1)])
        out[key + "/moments"] = moments  # [3, columns]: sums of x, x^2, |x|
        out[key + "/counts"] = np.array([c["sequences"], c["x"].shape[1]], np.int64)
        for group, budget in BUDGETS.items():
            put(f"{key}/sparsegpt/{group}", c, *sparsegpt(c, budget))
            if key == "dead":
                continue
            put(f"{key}/admm/{group}", c, *admm(c, budget))
            put(f"{key}/admm-plain/{group}", c, *admm(c, budget, finish=None))
            put(f"{key}/alps/{group}", c, *alps(c, budget))
            mask = project(wanda(c), budget)
            put(f"{key}/mask/{group}", c, mask)
            out[f"{key}/mask/{group}/error"] = np.array([error(c["w"], np.where(mask, c["w"], 0), c["gram"])])
            put(f"{key}/least-squares/{group}", c, None, least_squares(c, mask))
            put(f"{key}/least-squares-dense/{group}", c, None, least_squares(c, mask, dense_inputs=True))
            put(f"{key}/uniform-move/{group}", c, None, uniform_move(c, mask, budget))
            out[f"{key}/mean-to-bias/{group}/bias"] = mean_to_bias(c, mask).astype(np.float32)
            pattern = budget[1:] if group == "pattern" else None
            for name, method in (("dsnot", dsnot), ("gram-swap", gram_swap)):
                refined = method(c, mask, pattern)
                put(f"{key}/{name}/{group}", c, refined)
                out[f"{key}/{name}/{group}/error"] = np.array([error(c["w"], np.where(refined, c["w"], 0), c["gram"])])
    return out


if __name__ == "__main__":
    path = pathlib.Path(__file__).with_name("solvers.golden.safetensors")
    metadata = {"generator": "Tests/PluginHostTests/Goldens/solver_goldens.py", "seed": str(SEED),
                "numpy": np.__version__, "python": platform.python_version()}
    data = save(goldens())
    length = int.from_bytes(data[:8], "little")  # metadata in order, so that the bytes are always the same
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = metadata
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    print(path, path.stat().st_size, "bytes")
