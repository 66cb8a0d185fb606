"""Requests that combine methods of pruning wrongly: what is refused, and that nothing has happened then."""

import pytest

import examples
from daemon import ROOT, Daemon

MODEL = {"model": "sapling"}
NORMED = {"model": "normed"}
UP = ["*.up_proj.*"]
WANDA = {**MODEL, "plugin": "wanda", "sparsity": 0.5, "dataset": "text"}
MAGNITUDE = {**MODEL, "plugin": "magnitude", "sparsity": 0.5}
SOLVER = {**WANDA, "plugin": "sparsegpt"}


@pytest.fixture(scope="module")
def prepared():
    """A daemon with a model, a short text, scores s1 of weights and u1 of heads, and nothing pruned."""
    with Daemon() as daemon:
        daemon.call("model/load", {"source": "builtin:sapling"})
        daemon.call("model/load", {"source": "builtin:sapling", "name": "second"})
        # GPT-2 has layer norms, whose mean all channels share.
        daemon.call("model/load", {"source": str(ROOT / "Tests/TransformersTests/Goldens/gpt2"), "name": "normed"})
        daemon.call("dataset/load", {"tokens": list(range(60)), **NORMED, "sequenceLength": 30, "name": "numbers"})
        text = {"path": "builtin:sapling/calibration", **MODEL, "sequenceLength": 32, "sequences": 4, "name": "text"}
        daemon.call("dataset/load", text)
        daemon.call("importance/score", {**MODEL, "plugin": "magnitude", "modules": UP})
        daemon.call("importance/score", {**MODEL, "plugin": "magnitude", "unit": "head"})
        yield daemon


CASES = [
    # What a plugin is asked for must be what it offers.
    ("importance/score", {**MODEL, "plugin": "dsnot", "dataset": "text"}, "pluginOfOtherKind"),
    ("importance/score", {**MODEL, "plugin": "dsnot", "dataset": "text", "unit": "head"}, "pluginOfOtherKind"),
    ("prune/run", {**WANDA, "plugin": "owl"}, "pluginOfOtherKind"),
    ("prune/run", {**WANDA, "refinement": "least-squares"}, "pluginOfOtherKind"),
    ("prune/run", {**WANDA, "compensation": "dsnot"}, "pluginOfOtherKind"),
    ("prune/run", {**WANDA, "allocation": "wanda"}, "pluginOfOtherKind"),
    ("mask/apply", {**MODEL, "scores": "s1", "sparsity": 0.5, "allocation": "wanda"}, "pluginOfOtherKind"),
    ("evaluate/sensitivity", {**MODEL, "plugin": "owl", "dataset": "text"}, "pluginOfOtherKind"),
    # Terms.
    ("importance/score", {**MODEL, "plugin": "magnitude", "terms": {"reward": "s1"}}, "termsInvalid"),
    ("importance/score", {**MODEL, "plugin": "mama", "terms": {"merit": "s1"}, "modules": UP}, "termsInvalid"),
    ("importance/score", {**MODEL, "plugin": "mama", "terms": {"reward": "s9"}}, "scoresNotFound"),
    ("importance/score", {**MODEL, "plugin": "mama", "terms": {"reward": "u1"}}, "unitRequestInvalid"),
    ("importance/score", {"model": "second", "plugin": "mama", "terms": {"reward": "s1"}}, "scoresOfAnotherModel"),
    ("prune/run", {**SOLVER, "terms": {"reward": "s1"}}, "termsInvalid"),
    # How methods go together.
    ("prune/run", {**SOLVER, "refinement": "dsnot"}, "solverIsWhole"),
    ("prune/run", {**SOLVER, "compensation": "least-squares"}, "solverIsWhole"),
    ("prune/preview", {**MODEL, "plugin": "sparsegpt", "dataset": "text", "sparsities": [0.5],
                       "refinement": "dsnot"}, "solverIsWhole"),
    ("prune/run", {**WANDA, "compensation": ["least-squares", "mean-to-bias"]}, "methodTwice"),
    ("prune/run", {**WANDA, "compensation": ["regional-fit", "regional-fit"]}, "methodTwice"),
    ("prune/run", {**WANDA, "compensation": "regional-fit", "sequential": False}, "sequentialRequired"),
    ("prune/preview", {**MODEL, "plugin": "wanda", "dataset": "text", "sparsities": [0.5],
                       "compensation": "regional-fit"}, "sequentialRequired"),
    ("prune/run", {**SOLVER, "group": "global"}, "groupNotSequential"),
    ("prune/run", {**SOLVER, "group": "global", "sequential": False}, "groupNotSolved"),
    ("prune/run", {**MAGNITUDE, "compensation": "least-squares"}, "datasetRequired"),
    ("prune/run", {**MAGNITUDE, "allocation": "owl"}, "datasetRequired"),
    ("prune/run", {**WANDA, "group": "global", "sequential": False, "refinement": "dsnot"}, "groupNotSolved"),
    ("prune/run", {**WANDA, "group": "global", "sequential": False, "compensation": "least-squares"},
     "groupNotSolved"),
    # Who loses how much.
    ("prune/run", {**MAGNITUDE, "group": "global", "allocation": "uniform"}, "allocationInvalid"),
    ("prune/run", {**MAGNITUDE, "sparsity": 0.9, "allocation": {"modules": {"*.mlp.*": 0}}}, "allocationInvalid"),
    ("mask/apply", {**MODEL, "scores": "s1", "sparsity": 0.9,
                    "allocation": {"modules": {"*.layers.0.*": 0}}}, "allocationInvalid"),
    ("prune/preview", {**MODEL, "plugin": "wanda", "dataset": "text", "sparsities": [0.9],
                       "allocation": {"modules": {"*.mlp.*": 0}}}, "allocationInvalid"),
    ("mask/apply", {**MODEL, "scores": "s1", "sparsity": 0.5, "allocation": "owl"}, "datasetRequired"),
    ("mask/apply", {**MODEL, "scores": "s1", "sparsity": 0.5,
                    "allocation": {"plugin": "sensitivity", "sensitivity": "v1"}}, "sensitivityNotFound"),
    ("evaluate/sensitivity", {**MODEL, "sensitivity": "v1"}, "sensitivityNotFound"),
    ("evaluate/sensitivity", {**MODEL, "plugin": "magnitude", "dataset": "text", "layers": [6]}, "layerNotFound"),
    ("evaluate/sensitivity", {**MODEL, "plugin": "magnitude", "dataset": "text", "layers": [0],
                              "modules": ["*.layers.3.*"]}, "modulesMatchNothing"),
    # Units.
    ("importance/score", {**MODEL, "plugin": "block-influence", "dataset": "text", "unit": "head"}, "unitUnknown"),
    ("importance/score", {**MODEL, "plugin": "fluctuation", "unit": "head"}, "datasetRequired"),
    ("importance/score", {**MODEL, "plugin": "magnitude", "unit": "head", "modules": UP}, "unitRequestInvalid"),
    ("importance/score", {**MODEL, "plugin": "fluctuation", "dataset": "text", "unit": "head",
                          "terms": {"reward": "s1"}}, "termsInvalid"),
    ("importance/score", {**MODEL, "plugin": "fluctuation", "dataset": "text", "unit": "head",
                          "training": {"steps": 1, "learningRate": 0.1}}, "unitRequestInvalid"),
    ("mask/apply", {**MODEL, "scores": "u1", "pattern": "2:4"}, "unitRequestInvalid"),
    ("mask/apply", {**MODEL, "scores": "u1", "sparsity": 0.5, "allocation": "uniform"}, "unitRequestInvalid"),
    ("mask/apply", {**MODEL, "scores": "u1", "sparsity": 0.5, "ties": "all"}, "unitRequestInvalid"),
    ("importance/query", {"scores": "u1", "tensor": "model.layers.0.mlp.up_proj.weight", "topK": 1},
     "unitRequestInvalid"),
    ("importance/score", {**NORMED, "plugin": "magnitude", "unit": "channel"}, "channelsNotRemovable"),
    ("importance/score", {**NORMED, "plugin": "fluctuation", "dataset": "numbers", "unit": "channel"},
     "channelsNotRemovable"),
    ("mask/edit", {**NORMED, "edits": [{"op": "prune", "channels": [0]}]}, "channelsNotRemovable"),
    ("prune/preview", {**NORMED, "dataset": "numbers", "edits": [{"op": "prune", "channels": [0]}]},
     "channelsNotRemovable"),
    ("prune/shrink", {**MODEL, "name": "second"}, "modelExists"),
    # Revisions.
    ("revision/forget", {**MODEL, "revision": "r0"}, "revisionInUse"),
    ("revision/forget", {**MODEL, "revision": "r7"}, "revisionNotFound"),
]  # fmt: skip


@pytest.mark.parametrize("method, params, kind", CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_refused_and_nothing_changed(prepared, method, params, kind):
    before = prepared.call("revision/log", MODEL)
    error = prepared.error(method, params)
    assert (error["code"], error["data"]["kind"]) == (-32803, kind), error["message"]
    assert prepared.call("revision/log", MODEL) == before


@pytest.mark.parametrize("method, params, kind", CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_refused_with_words_of_the_page(method, params, kind):
    """Every error that is provoked above is on its method's page, unless it is about a name in general."""
    section = examples.document(method).read_text().partition("## Errors\n")[2].partition("\n## ")[0]
    assert f"`{kind}`" in section


def test_pins_are_params(prepared):
    error = prepared.error("prune/run", {**MAGNITUDE, "allocation": {"modules": {"*": 1.5}}})
    assert (error["code"], error["data"]["kind"]) == (-32602, "outOfRange")


def test_ties_of_rows_are_refused(prepared):
    for method, request in [
        ("prune/run", {**MAGNITUDE, "group": "row"}),
        ("prune/run", {**SOLVER, "group": "matrix"}),
        ("mask/apply", {**MODEL, "scores": "s1", "pattern": "2:4"}),
    ]:
        error = prepared.error(method, {**request, "ties": "all"})
        assert (error["code"], error["data"]["kind"]) == (-32602, "outOfRange")
        assert error["data"]["path"] == "params.ties"


def test_ties_of_a_matrix_go_together(prepared):
    request = {**MODEL, "scores": "s1", "sparsity": 0.5, "group": "matrix"}
    alone, together = (prepared.call("mask/apply", {**request, "ties": ties}) for ties in ("first", "all"))
    assert together["sparsity"] > alone["sparsity"]
    newest = prepared.call("revision/log", MODEL)["revisions"][-1]
    assert newest["details"]["ties"] == "all"
    prepared.call("mask/undo", MODEL)
    prepared.call("mask/undo", MODEL)


def test_a_pattern_has_no_use_for_a_global_group(prepared):
    """snip compares all weights unless told otherwise, which a layer-by-layer run could not."""
    for method, more in [("prune/run", {}), ("mask/apply", {"allocation": "uniform"})]:
        request = {**MODEL, "pattern": "2:4", "group": "global", **more}
        request |= {"plugin": "snip", "dataset": "text"} if method == "prune/run" else {"scores": "s1"}
        assert abs(prepared.call(method, request)["sparsity"] - 0.5) < 1e-9
        prepared.call("mask/undo", MODEL)


def test_what_new_weights_lack_stays_pruned(prepared):
    """A mask cannot keep what a compensator's weights do not have, and the answers say so."""
    kept = prepared.call("prune/run", {**WANDA, "compensation": "least-squares", "modules": UP})
    pruned = prepared.call("evaluate/perplexity", {**MODEL, "dataset": "text"})["perplexity"]
    edit = {"op": "restore", "tensor": "model.layers.0.mlp.up_proj.weight"}
    restored = prepared.call("mask/edit", {**MODEL, "edits": [edit]})
    assert restored["perTensor"][0]["sparsity"] == kept["perTensor"][0]["sparsity"] > 0.4
    assert prepared.call("evaluate/perplexity", {**MODEL, "dataset": "text"})["perplexity"] == pruned
    assert (restored["changed"], restored["revision"]) == (0, kept["revision"])
    (looked,) = prepared.call("prune/preview", {**MODEL, "dataset": "text", "edits": [edit]})["previews"]
    assert looked["tensors"][0]["sparsity"] == kept["perTensor"][0]["sparsity"]
    inverted = prepared.call("mask/edit", {**MODEL, "edits": [{**edit, "op": "invert"}]})
    assert inverted["changed"] == kept["perTensor"][0]["kept"] and inverted["perTensor"][0]["sparsity"] == 1
    prepared.call("mask/undo", MODEL)
    looser = prepared.call("mask/apply", {**MODEL, "scores": "s1", "sparsity": 0.1, "modules": UP})
    assert looser["sparsity"] >= kept["sparsity"]
    prepared.call("mask/undo", MODEL)
    for more in ({"plugin": "magnitude"}, {"plugin": "sparsegpt"}, {"compensation": "least-squares"},
                 {"refinement": "gram-swap"}, {"plugin": "alps", "sparsity": 0}):
        request = {**WANDA, "modules": UP, "sparsity": 0.1, **more}
        answer = prepared.call("prune/run", request)
        sparsity = [tensor["sparsity"] for tensor in answer["perTensor"]]
        assert sparsity == [tensor["sparsity"] for tensor in kept["perTensor"]], more
        assert {d["kind"] for d in answer["diagnostics"]} >= {"staysPruned"}, more
        prepared.call("mask/undo", MODEL)
    further = prepared.call("prune/run", {**MAGNITUDE, "modules": UP, "sparsity": 0.7})
    assert further["diagnostics"] == [] and abs(further["sparsity"] - 0.7) < 1e-3
    prepared.call("mask/undo", MODEL)
    # The first rounds ask for less than is pruned, the last for more.
    rounds = prepared.call("prune/run", {**WANDA, "modules": UP, "sparsity": 0.7, "plugin": "mama", "rounds": 8})
    assert "staysPruned" not in {d["kind"] for d in rounds["diagnostics"]} and abs(rounds["sparsity"] - 0.7) < 1e-2
    prepared.call("revision/checkout", {**MODEL, "target": "r0"})


def test_what_a_run_brings_back_is_told(prepared):
    """Masks of a run take the place of those before, a layer that was cut by hand among them."""
    cut = prepared.call("mask/edit", {**MODEL, "edits": [{"op": "prune", "layers": [2]}]})
    answer = prepared.call("prune/run", {**MAGNITUDE, "sparsity": 0.3})
    (diagnostic,) = [d for d in answer["diagnostics"] if d["kind"] == "weightsRestored"]
    whole = {tensor["tensor"]: tensor["pruned"] for tensor in cut["perTensor"]}
    back = sum(pruned - tensor["pruned"] for tensor in answer["perTensor"]
               if (pruned := whole.get(tensor["tensor"])))
    assert diagnostic["message"].startswith(f"{back} weights that {cut['revision']} prunes")
    further = prepared.call("prune/run", {**MAGNITUDE, "sparsity": 0.4})
    assert further["diagnostics"] == []
    prepared.call("revision/checkout", {**MODEL, "target": "r0"})


def test_rounds_need_a_compensator(prepared):
    for request in ({**WANDA, "rounds": 4}, {**WANDA, "plugin": "mama", "compensation": "none", "rounds": 16}):
        error = prepared.error("prune/run", request)
        assert (error["code"], error["data"]["path"]) == (-32602, "params.rounds")


def test_gradients_are_never_reused(prepared):
    for plugin, reused in [("wanda", True), ("gblm", False), ("snip", False), ("gblm", False)]:
        request = {**MODEL, "plugin": plugin, "dataset": "text", "modules": UP}
        for _ in range(2):
            answer = prepared.call("importance/score", request)
        assert (answer["statisticsReused"], answer["neededLayers"] > 0) == (reused, True), plugin
    answer = prepared.call("prune/run", {**MAGNITUDE, "dataset": "text", "sequential": True})
    assert (answer["statisticsReused"], answer["neededLayers"]) == (False, 0)
    prepared.call("mask/undo", MODEL)


def test_a_solver_with_nothing_to_prune_changes_nothing(prepared):
    before = prepared.call("evaluate/perplexity", {**MODEL, "dataset": "text"})["perplexity"]
    prepared.call("prune/run", {**MODEL, "plugin": "alps", "dataset": "text", "sparsity": 0, "modules": UP})
    assert prepared.call("evaluate/perplexity", {**MODEL, "dataset": "text"})["perplexity"] == before
    prepared.call("mask/undo", MODEL)


def test_a_sensitivity_without_a_plugin_is_its_own(prepared):
    table = prepared.call("evaluate/sensitivity", {
        **MODEL, "plugin": "magnitude", "dataset": "text", "sparsities": [0.5], "modules": UP})["sensitivity"]
    request = {**MAGNITUDE, "modules": UP}
    named, plain = (
        [tensor["sparsity"] for tensor in prepared.call("prune/run", {**request, "allocation": allocation})["perTensor"]]
        for allocation in ({"plugin": "sensitivity", "sensitivity": table}, {"sensitivity": table}))
    assert named == plain
    error = prepared.error("prune/run", {**request, "allocation": {"plugin": "owl", "sensitivity": table}})
    assert (error["code"], error["data"]["kind"]) == (-32602, "outOfRange")
    layers = prepared.call("evaluate/sensitivity", {**MODEL, "unit": "layer", "dataset": "text", "layers": [0, 5]})
    error = prepared.error("prune/run", {**request, "allocation": {"sensitivity": layers["sensitivity"]}})
    assert error["data"]["path"] == "params.allocation.sensitivity"
    # Layers of which `modules` choose nothing have no curve, and are no free lunch for the allocator.
    third = prepared.call("evaluate/sensitivity", {
        **MODEL, "plugin": "magnitude", "dataset": "text", "sparsities": [0.5], "modules": ["*.layers.3.*"]})
    assert {point["layer"] for point in third["points"]} == {3}
    error = prepared.error("prune/run", {**MAGNITUDE, "allocation": {"sensitivity": third["sensitivity"]}})
    assert error["data"]["kind"] == "allocationInvalid"
    prepared.call("revision/checkout", {**MODEL, "target": "r0"})


def test_hidden_sizes_that_heads_do_not_divide_are_our_own(prepared):
    """transformers 5 refuses a llama like that, so it is no ordinary config.json."""
    scores = prepared.call("importance/score", {**MODEL, "plugin": "magnitude", "unit": "channel"})["scores"]
    for share, standard in [(0.34, False), (0.25, True)]:
        prepared.call("mask/apply", {**MODEL, "scores": scores, "sparsity": share})
        assert prepared.call("prune/shrink", {**MODEL, "name": "narrow"})["standard"] is standard
        prepared.call("model/unload", {"model": "narrow"})
        prepared.call("mask/undo", MODEL)


def test_pins_that_leave_nothing_are_told(prepared):
    """Nothing makes up for pins of every tensor, unless they are the total by themselves."""
    for method, request in [
        ("prune/run", {**MAGNITUDE, "modules": UP}),
        ("mask/apply", {**MODEL, "scores": "s1", "sparsity": 0.5}),
        ("prune/preview", {**MODEL, "plugin": "magnitude", "dataset": "text", "modules": UP, "sparsities": [0.5]}),
    ]:
        for pin, kinds in [(0.25, ["allocatorUnused", "totalNotHeld"]), (0.5, ["allocatorUnused"])]:
            pinned = {**request, "allocation": {"plugin": "uniform", "modules": {"*": pin}}}
            answer = prepared.call(method, pinned)
            assert [diagnostic["kind"] for diagnostic in answer["diagnostics"]] == kinds, method
            if method != "prune/preview":
                assert abs(answer["sparsity"] - pin) < 1e-3
                prepared.call("mask/undo", MODEL)


def test_training_that_nobody_asks_for_is_told(prepared):
    scored = {**MODEL, "plugin": "magnitude", "modules": UP, "training": {"steps": 1, "learningRate": 0.1}}
    (diagnostic,) = prepared.call("importance/score", scored)["diagnostics"]
    assert (diagnostic["severity"], diagnostic["kind"]) == ("warning", "trainingUnused")


def test_terms_that_are_missing_are_told(prepared):
    """Rewards of some tensors only: the others are scored without, and the answer says which."""
    scored = {**MODEL, "plugin": "mama", "terms": {"reward": "s1"}, "modules": ["*.layers.0.mlp.*"]}
    missing = {(d["kind"], d["tensor"]) for d in prepared.call("importance/score", scored)["diagnostics"]}
    assert missing == {("termMissing", f"model.layers.0.mlp.{name}_proj.weight") for name in ("gate", "down")}


def test_heads_that_share_keys_get_no_residuals(prepared):
    prepared.call("mask/apply", {**MODEL, "scores": "u1", "sparsity": 0.375})
    residual = {**MODEL, "residualHeads": True, "scores": "u1"}
    assert prepared.error("prune/shrink", residual)["data"]["kind"] == "residualHeadsInvalid"
    prepared.call("mask/undo", MODEL)


def test_gradients_that_explode_are_an_error(prepared):
    """Steps so long that the loss leaves the numbers: no scores of NaN."""
    scored = {**MODEL, "plugin": "movement", "dataset": "text", "training": {"steps": 60, "learningRate": 1}}
    assert prepared.error("importance/score", scored)["data"]["kind"] in {"nonFiniteGradient", "nonFiniteLoss"}
