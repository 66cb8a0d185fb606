"""A list of 18 cases in which widely used language servers were found to fail, and the daemon must not.

After each the daemon still serves; `answers` and `refusal` see to that.
"""

import json
import os
import subprocess
import time

import pytest

from asking import BODY, LENGTH, MIB, answers, ends_well, refusal, request
from daemon import frame


def test_01_request_before_initialize(start):
    daemon = start(initialize=False)
    assert daemon.error("model/list")["code"] == -32002
    daemon.call("initialize", {})
    ends_well(daemon)


def test_02_exit_without_shutdown(daemon):
    daemon.notify("exit", {})
    assert daemon.exit_code() == 1


def test_03_shutdown_and_exit(daemon):
    assert daemon.call("shutdown") is None
    assert daemon.process.poll() is None
    daemon.notify("exit", {})
    assert daemon.exit_code() == 0


def test_04_request_after_shutdown(daemon):
    daemon.call("shutdown")
    assert daemon.error("server/status")["code"] == -32600
    daemon.notify("exit", {})
    assert daemon.exit_code() == 0


def test_05_second_initialize(daemon):
    assert daemon.error("initialize", {})["code"] == -32600
    ends_well(daemon)


@pytest.mark.parametrize("method", ["model/grow", "$/grow", "", "textDocument/hover"])
def test_06_unknown_method(daemon, method):
    assert refusal(daemon, frame(request(1, method))) == (1, -32601, "methodNotFound")


@pytest.mark.parametrize(
    "params", [{}, {"model": 5}, {"model": None}, {"model": "x", "more": 1}, ["x"], [], {"model": ["x"]}]
)
def test_07_wrong_params(daemon, params):
    answered_id, code, kind = refusal(daemon, frame(request(1, "model/describe", params=params)))
    assert (answered_id, code) == (1, -32602)
    assert kind in {"missingField", "wrongType", "unknownField"}


@pytest.mark.parametrize("body", [b'{"jsonrpc":"2.0","id":1,', b"garbage", b"", b"\0", b'"', b"{]", b"\xff\xfe"])
def test_08_malformed_json(daemon, body):
    answered_id, code, _ = refusal(daemon, frame(body))
    assert (answered_id, code) == (None, -32700)


def test_09_batch(daemon):
    (answer,) = answers(daemon, frame([request(1), request("2"), {"jsonrpc": "2.0", "method": "initialized"}]))
    assert [single["id"] for single in answer] == [1, "2"]
    assert all("result" in single for single in answer)


@pytest.mark.parametrize("message", [{"id": 1, "method": "server/status"}, {**request(1), "jsonrpc": "1.0"}])
def test_10_no_jsonrpc_member(daemon, message):
    assert refusal(daemon, frame(message)) == (1, -32600, "invalidRequest")


@pytest.mark.parametrize(
    "header",
    [
        b"content-length: %d\r\n",
        b"CONTENT-LENGTH:%d\r\n",
        b"Content-Length:   %d  \r\n",
        b"Content-Length: 00%d\r\n",
        b"Content-Length: %d\n",
        b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\nContent-Length: %d\r\n",
        b"Content-Length: %d\r\ncontent-type: application/vscode-jsonrpc;charset=UTF8\r\n",
        b'Content-Type: a/b; x=1; charset="utf-8"\r\nX-Other: any\r\nContent-Length: %d\r\n',
        b"Content-Length: %d\r\nContent-Length: %d\r\n",
    ],
)
def test_11_headers_in_any_case_and_order(daemon, header):
    header = header.replace(b"%d", str(LENGTH).encode())
    (answer,) = answers(daemon, header + b"\r\n" + BODY)
    assert answer["id"] == 1 and "result" in answer


def test_12_other_charsets(daemon):
    body = json.dumps(request(1)).encode("utf-16")
    header = b"Content-Type: application/vscode-jsonrpc; charset=utf-16\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert refusal(daemon, header + body) == (None, -32700, "unsupportedCharset")


@pytest.mark.parametrize("body", [b"", BODY, b"{" * 10_000])
def test_13_no_content_length(daemon, body):
    assert refusal(daemon, b"X-Other: 1\r\n\r\n" + body) == (None, -32700, "missingContentLength")


@pytest.mark.parametrize("length", [b"-5", b"-9223372036854775808", b"5.0", b"1e3", b"0x10", b"five", b"+5", b""])
def test_14_lengths_that_are_none(daemon, length):
    data = b"Content-Length: %s\r\n\r\n" % length
    assert refusal(daemon, data) == (None, -32700, "invalidContentLength")


@pytest.mark.parametrize("length", [10**20, 2**63, 2**63 - 1, 2**64 + LENGTH])
def test_15_huge_lengths(daemon, length):
    first, second = answers(daemon, b"Content-Length: %d\r\n\r\n" % length + frame(request(2)), count=2)
    assert (first["id"], first["error"]["code"]) == (None, -32600)
    assert first["error"]["data"]["kind"] == "frameTooLarge"
    assert second["id"] == 2 and "result" in second


@pytest.mark.parametrize("opening, closing", [(b"[", b"]"), (b'{"a":', b"}"), (b"[", b""), (b'[{"a":', b"")])
def test_16_deep_nesting(daemon, opening, closing):
    body = opening * 100_000 + b"1" + closing * 100_000
    assert refusal(daemon, frame(body)) == (None, -32700, "documentTooDeep")


@pytest.mark.parametrize("way", ["initialize", "argument"])
def test_17_parent_dies(start, way):
    parent = subprocess.Popen(["sleep", "600"])
    try:
        if way == "initialize":
            daemon = start(initialize=False)
            daemon.call("initialize", {"processId": parent.pid})
        else:
            daemon = start("--clientProcessId", parent.pid)
        daemon.call("server/status")
        assert daemon.process.poll() is None
    finally:
        parent.kill()
        parent.wait()
    assert daemon.exit_code(timeout=12) == 1


def test_18_client_does_not_read(start):
    """A client that sends and never reads is slowed down by the pipe; what it is owed is not lost."""
    daemon = start(initialize=False, reads=False)
    daemon.send(request(0, "initialize"))
    before, _ = daemon.resident_bytes()
    batch = json.dumps(100 * [request("number", "importance/score", params={"stranger": 1})])
    frames = [frame(batch.replace("number", str(number)).encode()) for number in range(2000)]
    data = b"".join(frames)
    pipe = daemon.process.stdin.fileno()
    os.set_blocking(pipe, False)
    sent, last = 0, time.monotonic()
    while sent < len(data) and time.monotonic() - last < 1:
        try:
            sent += os.write(pipe, data[sent : sent + 65536])
            last = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    assert sent < len(data), "the daemon took everything, and what it answers waits somewhere"
    os.set_blocking(pipe, True)
    daemon.start_reading()
    begun = next(count for count in range(2000) if sum(map(len, frames[:count])) >= sent)
    daemon.send_bytes(b"".join(frames[:begun])[sent:])
    assert daemon.receive()["id"] == 0
    for number in range(begun):
        answer = daemon.receive()
        assert len(answer) == 100 and {single["id"] for single in answer} == {str(number)}
    assert daemon.resident_bytes()[1] - before < 64 * MIB
    ends_well(daemon)
