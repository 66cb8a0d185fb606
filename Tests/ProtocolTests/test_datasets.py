"""Documents and generated documents, as a client sees them."""

import json
import time

import pytest

from daemon import ROOT

LENGTH = 64
TINY = ROOT / "Tests" / "TransformersTests" / "Goldens" / "grouped-f32"


@pytest.fixture
def sapling(daemon):
    daemon.call("model/load", {"source": "builtin:sapling"})
    return daemon


def load(daemon, lines, **params):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    params = {"model": "sapling", "format": "jsonl", "sequenceLength": LENGTH, **params}
    return daemon.call("dataset/load", {"text": text, **params})


def evaluate(daemon, dataset):
    return daemon.call("evaluate/perplexity", {"model": "sapling", "dataset": dataset["dataset"]})


DOCUMENTS = [
    {"prompt": "To be, or not", "completion": " to be, that is the question"},
    {"prompt": "ROMEO:", "completion": " But, soft! what light through yonder window breaks?"},
    {"text": "O Romeo, Romeo! wherefore art thou Romeo?"},
    {"prompt": "Out, out,", "completion": " brief candle!", "answer": "candle"},
]


def test_packing_changes_nothing_but_the_windows(sapling):
    alone, packed = (load(sapling, DOCUMENTS, packing=packing) for packing in ("none", "bestFit"))
    assert alone["sequences"] == 4 > packed["sequences"]
    assert alone["tokens"] == packed["tokens"] == alone["textTokens"]
    assert alone["digest"] != packed["digest"]
    for facts in alone, packed:
        assert facts["documents"]["segments"] == 4 and facts["documents"]["examples"] == 3
    a, b = evaluate(sapling, alone), evaluate(sapling, packed)
    assert a["tokens"] == b["tokens"] == alone["documents"]["validTokens"]
    assert a["nll"] == pytest.approx(b["nll"], rel=1e-5)


def test_the_loss_is_that_of_the_completion_alone(sapling):
    """Against model/generate's log-probabilities of the same tokens."""
    dataset = load(sapling, [DOCUMENTS[0]], endOfText=False)
    greedy = {"model": "sapling", "maxTokens": 8, "temperature": 0, "addSpecialTokens": False}
    written = sapling.call("dataset/generate", {**greedy, "prompts": ["To be, or not"]})
    whole = sapling.call("model/generate", {**greedy, "prompt": "To be, or not", "logProbabilities": True})
    expected = -sum(whole["logProbabilities"]) / len(whole["logProbabilities"])
    assert evaluate(sapling, written)["nll"] == pytest.approx(expected, rel=1e-4)
    assert evaluate(sapling, dataset)["tokens"] == dataset["documents"]["validTokens"] < dataset["tokens"]


def test_what_is_too_long_is_cut_or_left_out_and_counted(sapling):
    words = "word " * 100
    facts = load(sapling, [{"text": words}, {"prompt": "a", "completion": words}, {"text": ""}, {"text": "short enough"}])
    documents = facts["documents"]
    assert documents["cut"] == 1 and documents["tooLong"] == 1 and documents["tooShort"] >= 1
    assert facts["sequences"] == documents["segments"] >= 3


def test_a_path_that_ends_so_is_jsonl(sapling, tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in DOCUMENTS))
    params = {"model": "sapling", "path": str(path), "sequenceLength": LENGTH}
    facts = sapling.call("dataset/load", params)
    assert facts["digest"] == load(sapling, DOCUMENTS)["digest"] and facts["source"] == str(path)
    as_text = sapling.call("dataset/load", {**params, "format": "text", "sequenceLength": 8})
    assert "documents" not in as_text
    path.write_text('{"text": "one"}\n{"text": 2}\n')
    error = sapling.error("dataset/load", {**params, "name": "broken"})
    assert error["data"]["kind"] == "lineInvalid" and error["data"]["line"] == 2
    assert "broken" not in [dataset["dataset"] for dataset in sapling.call("dataset/list")["datasets"]]


GENERATION = {"model": "sapling", "count": 12, "maxTokens": 12, "temperature": 1.2, "topP": 0.95, "seed": 11}


def test_batches_and_interruptions_change_nothing(sapling, tmp_path):
    paths = [tmp_path / name for name in ("one.jsonl", "two.jsonl")]
    whole = sapling.call("dataset/generate", {**GENERATION, "path": str(paths[0])})
    lines = paths[0].read_bytes()
    for cut in len(lines) // 7, len(lines) // 2, len(lines) - 1:
        paths[1].write_bytes(lines[:cut])
        rest = sapling.call("dataset/generate", {**GENERATION, "path": str(paths[1]), "batch": 5})
        assert paths[1].read_bytes() == lines and rest["digest"] == whole["digest"]
        assert rest["resumed"] == lines[:cut].count(b"\n") - 1
    without = sapling.call("dataset/generate", {**GENERATION, "batch": 1})
    assert without["digest"] == whole["digest"] and without["path"] is None
    texts = [json.loads(line)["completion"] for line in lines.splitlines()[1:]]
    assert len(texts) == 12 and len(set(texts)) > 6, "each has random numbers of its own"


def test_a_cancelled_generation_leaves_whole_lines(sapling, tmp_path):
    path = tmp_path / "long.jsonl"
    params = {**GENERATION, "count": 2000, "maxTokens": 40, "batch": 2, "path": str(path)}
    number = sapling.request("dataset/generate", params)
    while not path.exists() or path.read_bytes().count(b"\n") < 4:
        time.sleep(0.01)
    sapling.notify("$/cancelRequest", {"id": number})
    assert sapling.answer(number)["error"]["data"]["kind"] == "cancelled"
    content = path.read_bytes()
    assert content.endswith(b"\n") and [json.loads(line) for line in content.splitlines()]
    some = content.count(b"\n") - 1
    rest = sapling.call("dataset/generate", {**params, "count": some + 3})
    assert rest["resumed"] == some and path.read_bytes().startswith(content)


def test_prompts_are_tokenised_by_the_model_that_writes(sapling, tmp_path):
    """A dataset of one tokenizer, a teacher of another, and back to the student by the file's texts."""
    sapling.call("model/load", {"source": str(TINY), "name": "tiny"})
    prompts = load(sapling, [{"prompt": "AB!", "answer": "x"}, {"prompt": "b"}])
    path = tmp_path / "tiny.jsonl"
    params = {"model": "tiny", "dataset": prompts["dataset"], "maxTokens": 5, "path": str(path)}
    sapling.call("dataset/generate", params)
    lines = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    assert [line["promptTokens"] for line in lines] == [[66, 0], [65]], "the tiny vocabulary's tokens of AB, ! and b"
    assert lines[0]["answer"] == "x" and "answer" not in lines[1]
    student = {"model": "sapling", "path": str(path), "sequenceLength": LENGTH, "endOfText": False}
    facts = sapling.call("dataset/load", student)
    texts = [{key: line[key] for key in ("prompt", "completion", "answer") if key in line} for line in lines]
    assert facts["digest"] == load(sapling, texts, endOfText=False)["digest"]
    own = {"model": "tiny", "path": str(path), "sequenceLength": LENGTH}
    assert sapling.call("dataset/load", own)["tokens"] == sum(
        len(line["promptTokens"] + line["completionTokens"]) for line in lines
    )


def test_another_file_stays_as_it_is(sapling, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n")
    error = sapling.error("dataset/generate", {**GENERATION, "path": str(path)})
    assert error["data"]["kind"] == "generationUnreadable" and path.read_text() == "my notes\n"


@pytest.mark.parametrize(
    "method, params",
    [
        ("prune/run", {"plugin": "wanda", "sparsity": 0.5}),
        ("prune/preview", {"plugin": "wanda", "sparsities": [0.5]}),
        ("importance/score", {"plugin": "wanda"}),
        ("importance/score", {"plugin": "activation-norm", "unit": "neuron"}),
        ("evaluate/sensitivity", {"unit": "layer"}),
        ("selftest/gradients", {}),
    ],
)
def test_methods_for_sequences_of_one_length_say_so(sapling, method, params):
    load(sapling, DOCUMENTS, name="documents")
    error = sapling.error(method, {"model": "sapling", "dataset": "documents", **params})
    assert error["data"]["kind"] == "datasetNotUniform"
    assert "`format`" in error["message"]
