"""A client of the daemon, standard library only: what anybody's client has to be, and no more.

It knows framing and ids; what the messages say is the tests' part. Whatever arrives on standard
output that is no frame ends the reading with an error that every later `receive` raises.
"""

import json
import os
import queue
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def find_binary():
    """The program to test: ESPALIER_BINARY, or what was built in this repository; None if there is none."""
    if named := os.environ.get("ESPALIER_BINARY"):
        return Path(named).resolve()
    built = [ROOT / ".build" / kind / "espalier" for kind in ("release", "debug")]
    return next((path for path in built if os.access(path, os.X_OK)), None)


def frame(body):
    """The bytes of a message: of a value that is written as JSON, or of bytes that are sent as they are."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


class Ended(Exception):
    """The daemon closed its output; `exit_code` tells how it ended."""


class Failed(Exception):
    """The daemon answered a request with an error."""

    def __init__(self, method, error):
        super().__init__(f"{method}: {error['message']}")
        self.error = error


class Daemon:
    """One running daemon. As a context manager it is gone at the end, whatever happened."""

    def __init__(self, *arguments, environment=None, folder=None, initialize=True, reads=True):
        """
        folder: where the daemon runs, and where relative paths start.
        reads: False for a client that looks at nothing until `start_reading`.
        """
        self.process = subprocess.Popen(
            [find_binary(), "serve", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            cwd=folder,
        )
        self.notifications = []
        self.stderr = b""
        self._messages = queue.Queue()
        self._last_id = 0
        self._stderr_reader = threading.Thread(target=self._read_stderr, daemon=True)
        self._stderr_reader.start()
        if reads:
            self.start_reading()
        if initialize:
            self.initialized = self.call("initialize", {"processId": None})
            self.notify("initialized", {})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    # Sending

    def send_bytes(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, message):
        self.send_bytes(frame(message))

    def notify(self, method, params):
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def request(self, method, params=None):
        """Sends a request and returns its id."""
        self._last_id += 1
        message = {"jsonrpc": "2.0", "id": self._last_id, "method": method}
        self.send(message if params is None else {**message, "params": params})
        return self._last_id

    # Receiving

    def receive(self, timeout=30):
        """The next message, whatever it is."""
        try:
            message = self._messages.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"nothing came for {timeout} s") from None
        if isinstance(message, Exception):
            self._messages.put(message)
            raise message
        return message

    def answer(self, request_id, timeout=60):
        """The answer to a request. Notifications that come before it are kept in `notifications`."""
        deadline = time.monotonic() + timeout
        while True:
            message = self.receive(max(0.001, deadline - time.monotonic()))
            if isinstance(message, dict) and "method" in message:
                self.notifications.append(message)
            elif isinstance(message, dict) and message.get("id") == request_id:
                return message
            else:
                raise AssertionError(f"expected the answer to {request_id}, came {message}")

    def call(self, method, params=None, timeout=60):
        """The result of a request. Raises Failed if it is an error."""
        answer = self.answer(self.request(method, params), timeout)
        if "error" in answer:
            raise Failed(method, answer["error"])
        return answer["result"]

    def error(self, method, params=None):
        """The error of a request that must fail."""
        answer = self.answer(self.request(method, params))
        assert "error" in answer, f"{method} {params} was answered with a result"
        return answer["error"]

    # Ending

    def end(self):
        """Says goodbye as the protocol asks, and returns the exit code."""
        self.call("shutdown")
        self.notify("exit", {})
        return self.exit_code()

    def exit_code(self, timeout=10):
        code = self.process.wait(timeout)
        self._stderr_reader.join(timeout)
        return code

    def resident_bytes(self):
        """Memory of the process now, and the most it ever had."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return tuple(int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))

    # The reading threads

    def start_reading(self):
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            while True:
                self._messages.put(self._read_message())
        except Exception as error:  # handed to whoever waits
            self._messages.put(error)

    def _read_message(self):
        length = None
        while (line := self.process.stdout.readline()) != b"\r\n":
            if not line and length is None:
                raise Ended("the daemon closed its output")
            name, colon, value = line.partition(b": ")
            assert name == b"Content-Length" and colon and length is None, f"not a header: {line!r}"
            length = int(value)
        body = self.process.stdout.read(length)
        assert len(body) == length, "the output ended within a message"
        return json.loads(body, parse_constant=_refuse, object_pairs_hook=_unique)

    def _read_stderr(self):
        while block := self.process.stderr.read1():
            self.stderr = (self.stderr + block)[-100_000:]


def _refuse(word):
    raise AssertionError(f"{word} is no JSON")


def _unique(pairs):
    members = dict(pairs)
    assert len(members) == len(pairs), f"a member comes twice: {[name for name, _ in pairs]}"
    return members
