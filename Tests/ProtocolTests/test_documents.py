"""The documents name everything that there is, and nothing that there is not."""

import re

import pytest

import examples
import schemas
from daemon import ROOT
from patterns import mismatch
from sessions import exchanges, program_folder, tour_steps

PROTOCOL = ROOT / "protocol"
SOURCES = ROOT / "Sources"
METHODS = sorted(schemas.METHODS)

# Words in the sources that no client ever sees.
NEVER_SENT = {
    "noThread": "said before there is a client",
    "sequenceLengthInvalid": "params are checked before",
    "sparsityInvalid": "params are checked before",
}


# Methods


def announced():
    first = next(step for step in tour_steps() if step.method == "initialize")
    return first.answer["result"]["capabilities"]["methods"]


def test_methods_documents_and_schemas_are_the_same():
    documents = {path.name for path in examples.FOLDER.glob("*.md")}
    assert {examples.document(method).name for method in announced()} == documents
    assert set(announced()) == set(schemas.METHODS)
    for method, name in schemas.METHODS.items():
        assert name == method.replace("/", "-") + ".json"


def test_the_index_lists_every_method():
    index = (PROTOCOL / "README.md").read_text().partition("## Methods\n")[2]
    assert re.findall(r"^\| \[`(.+?)`\]\(methods/(.+?)\.md\)", index, re.MULTILINE) == [
        (method, method.replace("/", "-")) for method in announced()
    ]


@pytest.mark.parametrize("method", METHODS)
def test_document_has_its_parts(method):
    text = examples.document(method).read_text()
    assert text.startswith(f"# {method}\n\n")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["Params", "Result", "Errors", "Cost and order", "Example"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("part", ["params", "result"])
def test_tables_name_what_the_schema_names(method, part):
    text = examples.document(method).read_text()
    section = text.partition(f"## {part.capitalize()}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| .*? \| (.*?) \|", section, re.MULTILINE)
    schema = schemas.DOCUMENTS[schemas.METHODS[method]][part]
    expected = [name for name in schema.get("properties", {}) if name not in ("workDoneToken", "partialResultToken")]
    assert [name for name, _ in rows] == expected
    if part == "params":
        assert [name for name, default in rows if default == "required"] == schema.get("required", [])


@pytest.mark.parametrize("method", METHODS)
def test_example_is_what_happens(method):
    step = next(step for step in tour_steps() if step.method == method)
    request, answer = examples.read(method)
    assert request == examples.shortened(step.request, program_folder()), AGAIN
    actual = examples.shortened(step.answer, program_folder())
    assert (problem := mismatch(examples.pattern(answer, method), actual, {})) is None, f"{problem}\n{AGAIN}"


AGAIN = "If this is as it should be: python3 Tests/ProtocolTests/examples.py writes the examples anew."


# Errors


def rows_of_errors():
    """Kind word to its facts: those that are always there, and those that may be."""
    found = {}
    for line in (PROTOCOL / "errors.md").read_text().partition("## Frames")[2].splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) < 3 or not (kind := re.fullmatch(r"`(\w+)`", cells[0])):
            continue
        always, maybe = found.setdefault(kind[1], (set(), set()))
        for fact in cells[-2].split(", ") if cells[-2] else []:
            (maybe if fact.startswith("maybe ") else always).add(fact.removeprefix("maybe ").strip("`"))
    return found


def words_in_sources():
    """Every word that an error can have as its kind."""
    words = set()
    for path in SOURCES.rglob("*.swift"):
        if "PipeClient" in path.parts:  # a client of its own
            continue
        text = path.read_text()
        for start in re.finditer(r"var kind: String \{", text):
            words |= set(re.findall(r'"(\w+)"', block(text, start.end())))
        words |= set(re.findall(r'(?:(?<![\w)])\.\w+|severity: "\w+"),\s*kind: "(\w+)"', text))
        for enumeration in re.finditer(r"enum Kind: String[^{]*\{\s*case ([\w, ]+)", text):
            words |= set(enumeration[1].split(", "))
    return words


def block(text, start):
    """What stands between the brace before `start` and its partner."""
    depth, end = 1, start
    while depth:
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
    return text[start:end]


def test_every_kind_of_error_is_documented():
    assert set(rows_of_errors()) == words_in_sources() - set(NEVER_SENT)


def test_every_reason_of_a_refused_plugin_is_documented():
    text = (SOURCES / "PluginHost" / "PluginError.swift").read_text()
    words = set(re.findall(r'"(\w+)"', block(text, text.index("var reason: String {") + len("var reason: String {"))))
    section = (PROTOCOL / "errors.md").read_text().partition("### Reasons of")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == words


def test_errors_carry_the_facts_that_are_documented():
    documented = rows_of_errors()
    seen = set()
    for session, request, answer in exchanges():
        if "error" not in answer:
            continue
        data = answer["error"]["data"]
        always, maybe = documented[data["kind"]]
        facts = set(data) - {"kind", "module"}
        assert always <= facts <= always | maybe, f"{session}: {request} gave {data}"
        assert ("module" in data) == (answer["error"]["code"] == -32803)
        seen.add(data["kind"])
    assert len(seen) > 20


@pytest.mark.parametrize("method", METHODS)
def test_methods_name_kinds_that_exist(method):
    section = examples.document(method).read_text().partition("## Errors\n")[2].partition("\n## ")[0]
    words = set(re.findall(r"`(\w+)`", section)) - {"overwrite", "reason"}
    assert words <= set(rows_of_errors())


def test_codes_are_those_of_the_sources():
    text = (SOURCES / "JSONRPC" / "ErrorCode.swift").read_text()
    known = set(re.findall(r"rawValue: (-\d+)", text))
    named = set(re.findall(r"-32\d{3}", (PROTOCOL / "errors.md").read_text()))
    assert named <= known
    used = {str(answer["error"]["code"]) for _, _, answer in exchanges() if "error" in answer}
    assert used <= named


# Links


PAGES = [*sorted(PROTOCOL.rglob("*.md")), ROOT / "editors" / "README.md"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]*)(?:#[^)]*)?\)", text):
        if target and "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} points to {target}"
