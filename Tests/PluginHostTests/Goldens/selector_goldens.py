"""Writes selectors.golden.safetensors: selector_goldens.py [FOLDER]

Small matrices with statistics of their inputs and gradients, and the scores of every bundled selector and unit selector
for them, straight from the formulas of the papers: numpy in double, from the inputs x and the gradients g and not from
sums of them. Scores of weights are F64 [rows, columns], scores of units F64 [units].

MATRIX/weights, /rewards            F32 [rows, columns]
MATRIX/moments/NAME                 F64 [columns], as espalier_moments names them
MATRIX/gradients/NAME, /regional/NAME   F32 [rows, columns], as espalier_gradients names them
MATRIX/gram                         F32 [columns, columns] sum x x^T
MATRIX/sizes                        I64: sequences, tokens, samples (sequences with gradients), steps
scores/MATRIX/GIVEN/PLUGIN/NAME=VALUE,...   expected; GIVEN is data, rewards (data and rewards) or nothing
UNITS/sizes                         I64: kind (as ESPALIER_UNIT_...), layer, units, width, matrices, tokens
UNITS/cosines, /lossesWithout, /loss    F64, layers only; matrices of other units are MATRIX UNITS-0, UNITS-1, ...
units/UNITS/PLUGIN                  expected

Weights, gradients and steps are multiples of a power of two, few enough bits for their sums to be exact in fp32. There
are ties, zeros, a dead input, and in one matrix a row and a column of zeros.

Made with numpy 2.4; version and seed are in the metadata. Deterministic: running it again changes nothing.
"""
import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save

SEED = 1234
SCRIPT = "Tests/PluginHostTests/Goldens/selector_goldens.py"
HEAD, NEURON, CHANNEL, LAYER = 1, 2, 4, 8


class Matrix:
    """A linear map with what went in, x [sequences, tokens, columns], and gradients g [samples, rows, columns]."""

    def __init__(self, random, rows, columns, steps=0):
        self.w = random.integers(-1500, 1501, (rows, columns)) / 512
        self.w[random.random((rows, columns)) < 0.05] = 0
        scale = np.exp(random.normal(0, 1, columns))
        self.x = random.normal(random.normal(0, 0.5, columns), scale, (4, 6, columns))
        self.g = random.integers(-700, 701, (5, rows, columns)) / 256
        self.regional = random.integers(-700, 701, (5, rows, columns)) / 4096
        self.rewards = random.integers(-800, 801, (rows, columns)) / 1024
        # The weights of a few training steps, with a gradient each: the sum over steps of w_t g_t.
        drift = random.integers(-200, 201, (steps, rows, columns)) / 512
        pull = random.integers(-250, 251, (steps, rows, columns)) / 256
        self.steps = steps
        self.movement = np.sum((self.w + drift) * pull, axis=0) if steps else self.w * self.g.sum(axis=0)

    def tensors(self, name):
        sequences, tokens, _ = self.x.shape
        exact = {"weights": self.w, "rewards": self.rewards}
        for kind, g in (("gradients", self.g), ("regional", self.regional)):
            exact[f"{kind}/sum"] = g.sum(axis=0)
            exact[f"{kind}/sum_of_squares"] = (g ** 2).sum(axis=0)
        if self.steps:
            exact["gradients/movement"] = self.movement
        for key, value in exact.items():
            assert np.array_equal(value.astype(np.float32), value), key
        return {f"{name}/{key}": value.astype(np.float32) for key, value in exact.items()} | {
            f"{name}/moments/sum": self.x.sum(axis=(0, 1)),
            f"{name}/moments/sum_of_squares": (self.x ** 2).sum(axis=(0, 1)),
            f"{name}/moments/sum_of_magnitudes": abs(self.x).sum(axis=(0, 1)),
            f"{name}/moments/sum_of_squared_means": (abs(self.x).mean(axis=1) ** 2).sum(axis=0),
            f"{name}/gram": self.gram().astype(np.float32),
            f"{name}/sizes": np.array([sequences, sequences * tokens, len(self.g), self.steps], dtype=np.int64),
        }

    def norms(self):
        """||X_j||_2 of Wanda's code: the root of the mean over sequences of the sum over tokens."""
        return np.sqrt((self.x ** 2).sum(axis=1).mean(axis=0))


    def gram(self):
        """sum x x^T, rounded as the golden holds it."""
        inputs = self.x.reshape(-1, self.x.shape[2])
        return (inputs.T @ inputs).astype(np.float32).astype(np.float64)

    def residual_norms(self, damping):
        """1 / sqrt([(G + d I)^-1]_jj): the distance of each input to the span of the others, damped."""
        gram = self.gram()
        n = len(gram)
        damped = gram + damping * np.trace(gram) / n * np.eye(n)
        rest = lambda j: np.delete(np.arange(n), j)
        # By the Schur complement, not by the inverse.
        return np.array([np.sqrt(damped[j, j] - damped[j, rest(j)] @ np.linalg.solve(
            damped[np.ix_(rest(j), rest(j))], damped[rest(j), j])) for j in range(n)])


def wanda(m, normExponent=1.0):
    return abs(m.w) * m.norms() ** normExponent


def wanda_variant(m):
    scores = wanda(m)
    shares = np.zeros_like(scores)
    for row, share in zip(scores, shares):
        order = np.argsort(row, kind="stable")
        share[order] = np.cumsum(row[order]) / (row.sum() or 1)
    return shares


def ria(m, exponent=0.5):
    magnitude = abs(m.w)
    rows, columns = magnitude.sum(axis=1, keepdims=True), magnitude.sum(axis=0, keepdims=True)
    relative = magnitude / np.where(columns == 0, 1, columns) + magnitude / np.where(rows == 0, 1, rows)
    return relative * m.norms() ** exponent


def taylor(m, order="first"):
    first, second = m.w * m.g.mean(axis=0), 0.5 * m.w ** 2 * (m.g ** 2).mean(axis=0)
    return {"first": abs(first), "second": second, "mixed": abs(first - second)}[order]


def gblm(m, scale=100.0):
    return abs(m.w) * m.norms() + abs(m.w) * np.sqrt(((scale * m.g) ** 2).sum(axis=0))


def wanda_plus_plus(m, alpha=100.0):
    return (alpha * np.sqrt((m.regional ** 2).mean(axis=0)) + m.norms()) * abs(m.w)


def movement(m, form="hard", scoreRate=1.0):
    moved = -scoreRate * m.movement
    return moved if form == "hard" else 1 / (1 + np.exp(-moved))


def mama_magnitude(m, given, scale, damping):
    if given == "nothing":
        return abs(m.w)
    return wanda(m) if scale == "norm" else abs(m.w) * m.residual_norms(damping)


def mama(m, given, magnitudeWeight=1.0, movementWeight=0.0, rewardWeight=1.0, movement="away", normalisation="mean",
         scope="row", mode="full", scale="residual", damping=0.01):
    if mode == "authors-2024":
        return abs(m.w)
    terms = [(magnitudeWeight, mama_magnitude(m, given, scale, damping)),
             (movementWeight, -m.movement if movement == "away" else abs(m.movement))]
    if given == "rewards":
        terms.append((rewardWeight, m.rewards))

    def normal(term):
        groups = term if scope == "row" else term.reshape(1, -1)
        if normalisation == "mean":
            mean = abs(groups).mean(axis=1, keepdims=True)
            groups = groups / np.where(mean == 0, 1, mean)
        elif normalisation == "rank":
            groups = (groups[:, :, None] > groups[:, None, :]).mean(axis=2)
        return groups.reshape(term.shape)

    return sum(weight * normal(term) for weight, term in terms)


# Plugin, function of (matrix, given, parameters), what is given, parameter settings.
CASES = [
    ("magnitude", lambda m, given: abs(m.w), "nothing", [{}]),
    ("wanda", lambda m, given, **p: wanda(m, **p), "data", [{}, {"normExponent": 0.5}]),
    ("wanda-variant", lambda m, given: wanda_variant(m), "data", [{}]),
    ("ria", lambda m, given, **p: ria(m, **p), "data", [{}, {"exponent": 0.0}, {"exponent": 1.5}]),
    ("snip", lambda m, given: abs(m.w * m.g.sum(axis=0)), "data", [{}]),
    ("taylor", lambda m, given, **p: taylor(m, **p), "data", [{"order": o} for o in ("first", "second", "mixed")]),
    ("gblm", lambda m, given, **p: gblm(m, **p), "data", [{}, {"scale": 0.25}]),
    ("wanda-plus-plus", lambda m, given, **p: wanda_plus_plus(m, **p), "data", [{}, {"alpha": 3.0}]),
    ("movement", lambda m, given, **p: movement(m, **p), "data",
     [{"form": "hard"}, {"form": "soft", "scoreRate": 0.01}, {"form": "soft", "scoreRate": 1.0}]),
    ("mama", mama, "nothing", [{}, {"mode": "authors-2024"}, {"normalisation": "none"}]),
    # Ranks of the residual scale hang on rounding where two inputs are the same but for their sign.
    ("mama", mama, "data", [
        {}, {"damping": 0.5}, {"scale": "norm"}, {"mode": "authors-2024"}, {"scale": "norm", "normalisation": "none"},
        {"movementWeight": 0.5}, {"movementWeight": 0.5, "movement": "sensitivity"},
        {"movementWeight": 0.5, "movement": "sensitivity", "scope": "matrix"},
        {"movementWeight": 0.5, "normalisation": "rank", "scale": "norm"},
        {"movementWeight": 0.5, "normalisation": "rank", "scale": "norm", "scope": "matrix"},
        {"magnitudeWeight": 0.0, "movementWeight": 2.0, "normalisation": "none"},
        {"movementWeight": 0.25, "normalisation": "none"}]),
    ("mama", mama, "rewards", [
        {}, {"rewardWeight": 0.0}, {"rewardWeight": 0.5, "movementWeight": 0.5, "movement": "sensitivity"},
        {"rewardWeight": 0.5, "movementWeight": 0.5, "normalisation": "rank", "scale": "norm"},
        {"rewardWeight": 0.5, "movementWeight": 0.5, "normalisation": "rank", "scale": "norm", "scope": "matrix"},
        {"magnitudeWeight": 0.0, "normalisation": "none"}]),
]


def activation_norm(matrices, units):
    """sqrt of the sum over sequences of (mean over tokens of |x|)^2; L2 over a head, a sum over matrices."""
    activations = [np.sqrt((abs(m.x).mean(axis=1) ** 2).sum(axis=0)) for m in matrices]
    return sum(np.linalg.norm(a.reshape(units, -1), axis=1) for a in activations)


def fluctuation(matrix, units, squared):
    """FLAP's WIFV with the true variance, standardised over columns, then averaged over the columns of a unit."""
    inputs = matrix.x.reshape(-1, matrix.x.shape[2])
    f = inputs.var(axis=0) * (matrix.w ** 2).sum(axis=0)
    f = f ** 2 if squared else f
    return ((f - f.mean()) / f.std(ddof=1)).reshape(units, -1).mean(axis=1)


def unit_tensors(random):
    tensors = {}

    def group(name, kind, layer, count, width, matrices):
        tensors[f"{name}/sizes"] = np.array([kind, layer, count, width, len(matrices), 0], dtype=np.int64)
        for index, matrix in enumerate(matrices):
            tensors.update(matrix.tensors(f"{name}-{index}"))
        tensors[f"units/{name}/activation-norm"] = activation_norm(matrices, count)
        if kind != CHANNEL:
            tensors[f"units/{name}/fluctuation"] = fluctuation(matrices[0], count, kind == HEAD)

    group("heads", HEAD, 2, 4, 5, [Matrix(random, 9, 20)])
    group("neurons", NEURON, 0, 23, 1, [Matrix(random, 8, 23)])
    group("channels", CHANNEL, -1, 8, 1, [Matrix(random, rows, 8) for rows in (6, 4, 11)])

    # Five layers, of which the third hands on what it got.
    tokens, layers = 40, 5
    states = random.normal(0, 1, (layers + 1, tokens, 16)).cumsum(axis=0)
    states[3] = states[2]
    lengths = np.linalg.norm(states, axis=2)
    cosines = (states[:-1] * states[1:]).sum(axis=2) / (lengths[:-1] * lengths[1:])
    losses = 3 + random.normal(0, 0.1, layers)
    tensors["layers/sizes"] = np.array([LAYER, -1, layers, 1, 0, tokens], dtype=np.int64)
    tensors["layers/cosines"] = cosines.sum(axis=1)
    tensors["layers/lossesWithout"] = losses
    tensors["layers/loss"] = np.array([2.75])
    tensors["units/layers/block-influence"] = 1 - cosines.mean(axis=1)
    tensors["units/layers/depth-loss"] = losses - 2.75
    return tensors


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent)
    random = np.random.default_rng(SEED)
    matrices = {"wide": Matrix(random, 12, 32), "trained": Matrix(random, 7, 20, steps=3)}
    wide, trained = matrices["wide"], matrices["trained"]
    wide.x[:, :, 7] = -wide.x[:, :, 3]  # the same norm, and weights of the same magnitude: ties across columns
    wide.w[:, 7] = wide.w[:, 3]
    wide.movement = wide.w * wide.g.sum(axis=0)
    wide.x[:, :, 11] = 0  # a dead input
    trained.w[4, :], trained.w[:, 6] = 0, 0
    tensors = unit_tensors(random)
    for name, matrix in matrices.items():
        tensors |= matrix.tensors(name)
        for plugin, function, given, settings in CASES:
            for setting in settings:
                words = ",".join(f"{key}={value}" for key, value in setting.items())
                tensors[f"scores/{name}/{given}/{plugin}/{words}"] = function(matrix, given, **setting)
    assert all(np.isfinite(t).all() for t in tensors.values())
    data = save({key: np.ascontiguousarray(value) for key, value in tensors.items()})
    length = int.from_bytes(data[:8], "little")  # metadata in order, so that the bytes are always the same
    header = json.loads(data[8:8 + length])
    header["__metadata__"] = {"generator": SCRIPT, "seed": str(SEED), "numpy": np.__version__}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    (folder / "selectors.golden.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length:])


if __name__ == "__main__":
    main()
