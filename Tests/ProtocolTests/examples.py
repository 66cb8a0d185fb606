"""The examples in protocol/methods: cut out of the tour, and compared with it.

    python3 Tests/ProtocolTests/examples.py

writes the examples of all methods anew. Answers are shortened: "..." stands for what was left out,
as in the patterns of the transcripts.
"""

import json
import re
import tempfile

import tour
from daemon import ROOT, Daemon, find_binary
from patterns import MORE

FOLDER = ROOT / "protocol" / "methods"
HEADING = "## Example\n"
BLOCK = re.compile(r"```json\n(.*?)```\n", re.DOTALL)
WIDTH = 112

# What another machine or another day changes.
CHANGING = {
    "blas", "cachesBytes", "core", "configuration", "error", "histogram", "instructionSet", "message", "noise", "numeric",
    "peakResidentBytes", "percentage", "processId", "residentBytes", "seconds", "secondsLeft", "step", "threads", "tokensPerSecond",
    "tolerance", "uptimeSeconds", "version",
}  # fmt: skip
UNCHANGING = {"model/describe": {"configuration"}}


def document(method):
    return FOLDER / (method.replace("/", "-") + ".md")


def read(method):
    """The request and the answer in a document."""
    _, _, example = document(method).read_text().partition(HEADING)
    request, answer = BLOCK.findall(example)
    return json.loads(request), json.loads(answer)


def write(step, program):
    """Puts a step of the tour into its method's document."""
    path = document(step.method)
    text, heading, _ = path.read_text().partition(HEADING)
    assert heading, f"{path} has no heading {HEADING!r}"
    request, answer = (layout(shortened(message, program)) for message in (step.request, step.answer))
    path.write_text(f"{text}{HEADING}\n```json\n{request}\n```\n\n```json\n{answer}\n```\n")


def shortened(value, program):
    """`value` as a document shows it."""
    if isinstance(value, str):
        return value.replace(f"{program}/", "/.../")
    if isinstance(value, dict):
        return {key: shortened(member, program) for key, member in value.items()}
    if not isinstance(value, list):
        return value
    most = 3 if all(isinstance(element, (int, float, str)) for element in value) else 1
    keeps_all = len(value) <= most + 1 or value[:1] == ["initialize"]
    kept = [shortened(element, program) for element in (value if keeps_all else value[:most])]
    return kept if keeps_all else [*kept, MORE]


def pattern(shown, method, key=""):
    """What a document shows, as a pattern that allows for rounding and for other machines."""
    if key in CHANGING and key not in UNCHANGING.get(method, ()):
        return "<any>"
    if isinstance(shown, dict):
        return {name: pattern(member, method, name) for name, member in shown.items()}
    if isinstance(shown, list):
        return [pattern(element, method, key) for element in shown]
    if isinstance(shown, float):
        return {"~": shown, "tolerance": 1e-3 * abs(shown) + 1e-6}
    return shown


def layout(value, indent=0, before=0):
    """JSON on as few lines as fit the width."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or indent + before + len(line) <= WIDTH:
        return line
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        members = [(json.dumps(key) + ": ", member) for key, member in value.items()]
    else:
        members = [("", element) for element in value]
    lines = [inner + name + layout(member, indent + 2, len(name) + 1) for name, member in members]
    start, end = "{}" if isinstance(value, dict) else "[]"
    return f"{start}\n" + ",\n".join(lines) + f"\n{' ' * indent}{end}"


if __name__ == "__main__":
    program = find_binary().resolve().parent
    with tempfile.TemporaryDirectory() as folder, Daemon(folder=folder, initialize=False) as daemon:
        written = set()
        for step in tour.run(daemon, program):
            if step.method not in written:
                write(step, program)
                written.add(step.method)
    print(f"wrote the examples of {len(written)} methods")
