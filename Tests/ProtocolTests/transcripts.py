"""Reads the example sessions of protocol/transcripts and plays them to a daemon."""

import json

from daemon import ROOT, Ended, find_binary
from patterns import fill, mismatch

FOLDER = ROOT / "protocol" / "transcripts"
FILES = sorted(FOLDER.glob("*.jsonl"))
LINE_KINDS = {"note", "send", "receive", "receiveAll", "exit"}


def lines(path, temporary="/tmp"):
    """The lines of a transcript: (number, kind, what it says)."""
    for number, text in enumerate(path.read_text().splitlines(), 1):
        text = text.replace("<temporary>", str(temporary))
        text = text.replace("<program>", str(find_binary().resolve().parent))
        line = json.loads(text)
        assert len(line) == 1 and set(line) <= LINE_KINDS, f"{path.name}:{number} is no line of a transcript"
        yield number, *line.popitem()


def play(path, daemon, temporary):
    """Plays a transcript. Returns what went over the pipe: ("send" or "receive", message), in order.

    Raises AssertionError at the first line that is not as it says.
    """
    exchanged, names = [], {}
    for number, kind, said in lines(path, temporary):
        place = f"{path.name}:{number}"
        if kind == "send":
            message = fill(said, names)
            exchanged.append(("send", message))
            daemon.send(message)
        elif kind in ("receive", "receiveAll"):
            expected = list(said) if kind == "receiveAll" else [said]
            while expected:
                message = daemon.receive()
                exchanged.append(("receive", message))
                problems = [mismatch(pattern, message, dict(names)) for pattern in expected]
                if None in problems:
                    mismatch(expected.pop(problems.index(None)), message, names)
                    continue
                came = json.dumps(message)[:2000]
                assert _comes_at_any_time(message), f"{place}: {' or '.join(problems)}\ncame: {came}"
        elif kind == "exit":
            assert daemon.exit_code() == said, f"{place}: the exit code is {daemon.exit_code()}"
            try:
                message = daemon.receive(timeout=5)
                raise AssertionError(f"{place}: a message that no line waits for: {message}")
            except Ended:
                pass
    return exchanged


def _comes_at_any_time(message):
    """Log lines, reports of progress and parts of results come when they come."""
    if not isinstance(message, dict):
        return False
    if message.get("method") == "$/progress":
        return message["params"]["value"].get("kind", "partial result") in ("report", "partial result")
    return message.get("method") == "window/logMessage"
