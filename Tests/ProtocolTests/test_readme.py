"""The session in protocol/README.md runs as it is printed there."""

import re
import subprocess
import sys

from daemon import ROOT, find_binary

README = (ROOT / "protocol" / "README.md").read_text()


def test_the_script_runs(tmp_path):
    script, shown = re.search(r"```python\n(.*?)```.*?```text\n(.*?)```", README, re.DOTALL).groups()
    path = tmp_path / "session.py"
    path.write_text(script)
    run = subprocess.run(
        [sys.executable, "-I", path, find_binary()], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    number = re.compile(r"\d+\.\d+")
    assert number.sub("#", run.stdout) == number.sub("#", shown)
    for actual, expected in zip(number.findall(run.stdout), number.findall(shown), strict=True):
        assert abs(float(actual) - float(expected)) <= 0.02 * float(expected)


def test_the_script_needs_the_standard_library_only():
    script = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    modules = set(re.findall(r"^\s*(?:import|from) (\w+)", script, re.MULTILINE))
    assert modules <= sys.stdlib_module_names


def test_the_frame_is_as_long_as_it_says():
    length, body = re.search(r"Content-Length: (\d+)\\r\\n\n    \\r\\n\n    (\{.*\})\n", README).groups()
    assert len(body) == int(length)


def test_the_limits_are_those_announced(daemon):
    assert daemon.initialized["limits"] == {
        "bodyBytes": 64 << 20, "headerBytes": 8 << 10, "depth": 128, "batch": 1024, "requests": 1024,
    }  # fmt: skip
    for words in ("64 MiB a body", "8 KiB of header", "128 levels", "1024 messages", "1024 unanswered"):
        assert words in " ".join(README.split())
