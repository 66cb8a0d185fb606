"""The rows of RESULTS.md, in its order, and what the daemon is asked for by each."""

AT_ONCE = {"sequential": False}  # uses no statistics, or those of the dense model


def mama(rounds, steps, **more):
    """MAMA that redistributes by so many steps of conjugate gradients in each of so many rounds."""
    compensation = {"plugin": "least-squares", "parameters": {"steps": steps}}
    return {"plugin": "mama", "rounds": rounds, "compensation": compensation, **more}


# What prune/run is given for each row. A row that says nothing of `sequential` goes as the command line says.
METHODS = {
    "magnitude": {"plugin": "magnitude", **AT_ONCE},
    "magnitude, per row": {"plugin": "magnitude", "group": "row", **AT_ONCE},
    "movement": {"plugin": "movement", "group": "row", **AT_ONCE},
    "SNIP": {"plugin": "snip", "group": "row", **AT_ONCE},
    "Taylor, second order": {"plugin": "taylor", "group": "row", "parameters": {"order": "second"}, **AT_ONCE},
    "GBLM": {"plugin": "gblm", **AT_ONCE},
    "RIA": {"plugin": "ria", "group": "row"},
    "Wanda": {"plugin": "wanda"},
    "Wanda, variant": {"plugin": "wanda-variant"},
    "Wanda++ score": {"plugin": "wanda-plus-plus"},
    "Wanda + DSnoT": {"plugin": "wanda", "refinement": "dsnot"},
    "Wanda + swaps": {"plugin": "wanda", "refinement": "gram-swap"},
    "Wanda + OWL": {"plugin": "wanda", "allocation": "owl"},
    "Wanda + sensitivity": {"plugin": "wanda", "allocation": "sensitivity"},
    "Wanda + uniform move": {"plugin": "wanda", "compensation": "uniform-move"},
    "Wanda + mean to bias": {"plugin": "wanda", "compensation": "mean-to-bias"},
    "Wanda + least squares": {"plugin": "wanda", "compensation": "least-squares"},
    "Wanda + least squares, dense inputs": {"plugin": "wanda", "compensation": "least-squares-dense"},
    "Wanda + regional fit": {"plugin": "wanda", "compensation": "regional-fit", "sequential": True},
    "SparseGPT": {"plugin": "sparsegpt"},
    "ADMM, gradual": {"plugin": "admm"},
    "ADMM, gradual, per row": {"plugin": "admm", "group": "row"},
    "ALPS": {"plugin": "alps"},
    "ALPS + OWL": {"plugin": "alps", "allocation": "owl"},
    "MAMA, authors 2024": {
        "plugin": "mama", "group": "matrix", "compensation": "none", "parameters": {"mode": "authors-2024"}, **AT_ONCE},
    "MAMA, uniform move": {
        "plugin": "mama", "compensation": "uniform-move", "rounds": 1, "parameters": {"scale": "norm"}},
    "MAMA": {"plugin": "mama"},
    "MAMA + OWL": {"plugin": "mama", "allocation": "owl"},
    "MAMA, 8 rounds of 8 steps": mama(8, 8),
    "MAMA, 8 rounds of 8 steps + OWL": mama(8, 8, allocation="owl"),
    "MAMA, 16 rounds of 3 steps": mama(16, 3),
    "MAMA, 16 rounds of 5 steps": mama(16, 5),
    "MAMA, 16 rounds of 6 steps": mama(16, 6),
    "MAMA, damping 0.03": {"plugin": "mama", "compensation": {
        "plugin": "least-squares", "parameters": {"damping": 0.03}}},
    "MAMA, 16 rounds of 16 steps": mama(16, 16),
    "MAMA, 24 rounds of 8 steps": mama(24, 8),
}

# Units that are cut out whole: what importance/score is given, then mask/apply with the share that goes.
STRUCTURES = {
    "neurons, magnitude": {"plugin": "magnitude", "unit": "neuron"},
    "neurons, Wanda": {"plugin": "wanda", "unit": "neuron"},
    "neurons, activation norm": {"plugin": "activation-norm", "unit": "neuron"},
    "neurons, fluctuation": {"plugin": "fluctuation", "unit": "neuron"},
    "heads, activation norm": {"plugin": "activation-norm", "unit": "head"},
    "heads, fluctuation": {"plugin": "fluctuation", "unit": "head"},
    "channels, activation norm": {"plugin": "activation-norm", "unit": "channel"},
    "layers, block influence": {"plugin": "block-influence", "unit": "layer"},
    "layers, loss without": {"plugin": "depth-loss", "unit": "layer"},
}
