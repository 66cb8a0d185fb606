"""The daemon as LSP 3.17 and JSON-RPC 2.0 want it, and better than servers are as a rule.

The first part is a list of 18 cases in which widely used language servers were found to fail. After
each the daemon still serves; the helpers below see to that.
"""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest

from daemon import ROOT, Ended, Failed, frame

MIB = 1 << 20


def request(request_id, method="server/status", **members):
    return {"jsonrpc": "2.0", "id": request_id, "method": method, **members}


def answers(daemon, data, count=1):
    """Sends bytes, then a request for the status; returns the `count` answers that come besides the status."""
    daemon.send_bytes(data + frame(request("alive")))
    found, alive = [], False
    while len(found) < count or not alive:
        message = daemon.receive()
        if isinstance(message, dict) and "method" in message:
            continue
        if isinstance(message, dict) and message.get("id") == "alive":
            assert message["result"]["processId"] == daemon.process.pid
            alive = True
        else:
            found.append(message)
    return found


def refusal(daemon, data):
    """The one error with which the bytes are answered: (id, code, kind)."""
    (answer,) = answers(daemon, data)
    assert answer["jsonrpc"] == "2.0" and "result" not in answer
    return answer["id"], answer["error"]["code"], answer["error"]["data"]["kind"]


def ends_well(daemon):
    assert daemon.end() == 0


# The 18 cases


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


BODY = json.dumps(request(1)).encode()
LENGTH = len(BODY)


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


# Frames


def test_several_frames_in_a_write(daemon):
    found = answers(daemon, b"".join(frame(request(number)) for number in range(100)), count=100)
    assert [answer["id"] for answer in found] == list(range(100))


def test_byte_by_byte(daemon):
    for byte in frame(request(1)):
        daemon.send_bytes(bytes([byte]))
        time.sleep(0.0005)
    assert daemon.answer(1)["result"]["jobs"] >= 0
    ends_well(daemon)


def test_an_empty_line_before_a_frame(daemon):
    (answer,) = answers(daemon, b"\r\n\r\n" + frame(request(1)))
    assert answer["id"] == 1


@pytest.mark.parametrize(
    "data, code, kind",
    [
        (b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n", -32700, "conflictingContentLength"),
        (b"no header at all\r\n\r\n", -32700, "invalidHeader"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", -32700, "invalidHeader"),
        (b"Content-Length : 5\r\n\r\n", -32700, "invalidHeader"),
        (b"X: " + b"x" * 10_000 + b"\r\nContent-Length: 2\r\n\r\n{}", -32600, "headerTooLarge"),
        (b"X: 1\r\n" * 100 + b"Content-Length: 2\r\n\r\n{}", -32600, "tooManyHeaderFields"),
    ],
)
def test_what_is_no_frame(daemon, data, code, kind):
    assert refusal(daemon, data) == (None, code, kind)


def test_a_length_that_is_too_small(daemon):
    """The rest of the body is no header; the frame after it is read again."""
    found = answers(daemon, b"Content-Length: %d\r\n\r\n" % (LENGTH - 3) + BODY + frame(request(2)), count=3)
    assert [answer["id"] for answer in found] == [None, None, 2]
    assert [answer["error"]["code"] for answer in found[:2]] == [-32700, -32700]


def test_a_body_over_the_limit(start):
    daemon = start("--max-body-bytes", 1024)
    assert daemon.initialized["limits"]["bodyBytes"] == 1024
    body = json.dumps(request(1)).encode()
    (answer,) = answers(daemon, frame(body.ljust(1024)))
    assert answer["id"] == 1 and "result" in answer
    (answer,) = answers(daemon, frame(body.ljust(1025)))
    assert (answer["id"], answer["error"]["code"]) == (None, -32600)
    assert answer["error"]["data"] == {"kind": "frameTooLarge", "length": 1025, "limit": 1024}
    ends_well(daemon)


def test_a_body_over_the_limit_is_drained_and_not_kept(daemon):
    _, before = daemon.resident_bytes()
    daemon.send_bytes(b"Content-Length: %d\r\n\r\n" % (200 * MIB))
    for _ in range(200):
        daemon.send_bytes(b" " * MIB)
    assert refusal(daemon, b"") == (None, -32600, "frameTooLarge")
    assert daemon.resident_bytes()[1] - before < 16 * MIB
    ends_well(daemon)


# JSON and messages


@pytest.mark.parametrize(
    "value, kind",
    [
        (b"NaN", "parseError"),
        (b"Infinity", "parseError"),
        (b"-Infinity", "parseError"),
        (b"01", "parseError"),
        (b"-01", "parseError"),
        (b"+1", "parseError"),
        (b".5", "parseError"),
        (b"2.", "parseError"),
        (b"1e", "parseError"),
        (b"0x1", "parseError"),
        (b"'a'", "parseError"),
        (b"True", "parseError"),
        (b"[1,]", "parseError"),
        (b'{"a":1,}', "parseError"),
        (b"{a:1}", "parseError"),
        (b"1 /* one */", "parseError"),
        (b'"\t"', "controlCharacter"),
        (b'"\\x41"', "parseError"),
        (b'"\\ud800"', "loneSurrogate"),
        (b'"\xff"', "invalidUTF8"),
        (b'"\xc0\xaf"', "invalidUTF8"),
        (b'"\xed\xa0\x80"', "invalidUTF8"),
        (b'{"a":1,"a":2}', "duplicateKey"),
        (b'{"a":1,"\\u0061":2}', "duplicateKey"),
        (b'{"a\\u0000":1}', "nulInKey"),
        (b"1e400", "numberOutOfRange"),
        (b"9223372036854775808", "integerOutOfRange"),
    ],
)
def test_json_is_read_strictly(daemon, value, kind):
    body = b'{"jsonrpc":"2.0","id":1,"method":"server/status","params":{"x":%s}}' % value
    assert refusal(daemon, frame(body)) == (None, -32700, kind)


@pytest.mark.parametrize("tail", [b" x", b"{}", b"\0", b",", b"]"])
def test_nothing_may_follow_a_message(daemon, tail):
    assert refusal(daemon, frame(BODY + tail)) == (None, -32700, "parseError")


def test_a_byte_order_mark(daemon):
    assert refusal(daemon, frame(b"\xef\xbb\xbf" + BODY)) == (None, -32700, "byteOrderMark")


def test_all_of_unicode_comes_back(daemon):
    name = "".join(map(chr, [0x20, 0x7F, 0xE9, 0x2028, 0x4E2D, 0x1F333, 0x10FFFF]))
    assert daemon.error("model/describe", {"model": name})["message"].startswith(f'No model is loaded as "{name}".')


@pytest.mark.parametrize("request_id", [0, -1, 2**63 - 1, -(2**63), "", "1", "🌳", "a" * 1000])
def test_ids_come_back_as_they_were(daemon, request_id):
    daemon.send(request(request_id))
    answer = daemon.receive()
    assert answer["id"] == request_id and type(answer["id"]) is type(request_id)


@pytest.mark.parametrize("request_id", [1.5, True, None, [], {}, 1.0])
def test_ids_that_are_none(daemon, request_id):
    assert refusal(daemon, frame(request(request_id))) == (None, -32600, "invalidRequest")


@pytest.mark.parametrize(
    "message, answered_id",
    [
        (5, None),
        ("text", None),
        (None, None),
        ({}, None),
        ({"jsonrpc": "2.0", "id": 1}, 1),
        ({"jsonrpc": "2.0", "id": 1, "method": 5}, 1),
        ({"jsonrpc": "2.0", "id": 1, "method": "model/list", "params": "x"}, 1),
        ({"jsonrpc": "2.0", "id": 1, "method": "model/list", "result": 5}, 1),
    ],
)
def test_messages_that_are_none(daemon, message, answered_id):
    assert refusal(daemon, frame(message)) == (answered_id, -32600, "invalidRequest")


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "method": "model/list"},
        {"jsonrpc": "2.0", "method": "initialized"},
        {"jsonrpc": "2.0", "method": "$/unknown", "params": {}},
        {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 77}},
        {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": 5 * [1]},
        {"jsonrpc": "2.0", "id": 1, "result": None},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "x"}},
        [{"jsonrpc": "2.0", "method": "initialized"}],
    ],
)
def test_what_is_not_answered(daemon, message):
    assert answers(daemon, frame(message), count=0) == []


@pytest.mark.parametrize("method", ["server/status", "shutdown"])
@pytest.mark.parametrize("members", [{}, {"params": None}, {"params": {}}])
def test_params_may_be_left_out(daemon, method, members):
    daemon.send(request("x", method, **members))
    assert "result" in daemon.answer("x")


# Batches (JSON-RPC 2.0, section 6 and the examples of section 7)


def test_an_empty_batch(daemon):
    assert refusal(daemon, frame([])) == (None, -32600, "emptyBatch")


def test_a_batch_of_what_is_no_message(daemon):
    (answer,) = answers(daemon, frame([1, 2, 3]))
    assert [(single["id"], single["error"]["code"]) for single in answer] == 3 * [(None, -32600)]


def test_a_batch_of_many_kinds(daemon):
    (answer,) = answers(
        daemon,
        frame(
            [
                request("1"),
                {"jsonrpc": "2.0", "method": "initialized"},
                {"foo": "boo"},
                request("5", "foo.get", params={"name": "myself"}),
                request("9", "model/list"),
            ]
        ),
    )
    assert [(single["id"], single.get("error", {}).get("code")) for single in answer] == [
        ("1", None),
        (None, -32600),
        ("5", -32601),
        ("9", None),
    ]


def test_a_batch_with_shutdown_and_exit(daemon):
    daemon.send([request(1), request(2, "shutdown"), {"jsonrpc": "2.0", "method": "exit"}])
    assert [single["id"] for single in daemon.receive()] == [1, 2]
    assert daemon.exit_code() == 0


def test_a_batch_over_the_limit(daemon):
    limit = daemon.initialized["limits"]["batch"]
    daemon.send([request(number) for number in range(limit)])
    assert ["result" in single for single in daemon.receive()] == limit * [True]
    assert refusal(daemon, frame([request(number) for number in range(limit + 1)])) == (None, -32600, "batchTooLarge")


# The end


def test_end_of_input(start):
    daemon = start()
    daemon.process.stdin.close()
    assert daemon.exit_code() == 1


def test_end_of_input_after_shutdown(daemon):
    daemon.call("shutdown")
    daemon.process.stdin.close()
    assert daemon.exit_code() == 0


@pytest.mark.parametrize("data", [b"Content-Length: 100\r\n\r\n{", b"Content-Length: 1", b"x"])
def test_end_of_input_within_a_frame(daemon, data):
    daemon.send_bytes(data)
    daemon.process.stdin.close()
    message = daemon.receive()
    while "method" in message:
        message = daemon.receive()
    assert message["error"]["data"]["kind"] == "unexpectedEnd"
    assert daemon.exit_code() == 1


def test_exit_before_initialize(start):
    daemon = start(initialize=False)
    daemon.notify("exit", {})
    assert daemon.exit_code() == 1


def test_the_reader_of_the_output_goes(start):
    daemon = start(initialize=False, reads=False)
    daemon.process.stdout.close()
    daemon.send(request(1, "initialize"))
    assert daemon.exit_code() == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_it(daemon, number):
    daemon.call("server/status")
    daemon.process.send_signal(number)
    assert daemon.exit_code() == 0
    with pytest.raises(Ended):
        daemon.receive()


@pytest.mark.parametrize("arguments", [("--max-body-bytes", 10), ("--threads", 0), ("--threads", "x"), ("--nothing",)])
def test_wrong_arguments(start, arguments):
    daemon = start(*arguments, initialize=False)
    assert daemon.exit_code() == 2


# Work


@pytest.fixture
def evaluating(daemon):
    """A daemon that evaluates, for a while, under the id of `daemon.evaluation`."""
    daemon.call("model/load", {"source": "builtin:sapling"})
    text = {"path": "builtin:sapling/evaluation", "model": "sapling", "sequenceLength": 512, "name": "text"}
    daemon.call("dataset/load", text)
    params = {"model": "sapling", "dataset": "text", "workDoneToken": "t"}
    daemon.evaluation = daemon.request("evaluate/perplexity", params)
    while daemon.receive().get("method") != "$/progress":
        pass
    return daemon


def test_a_running_request_is_cancelled(evaluating):
    asked = time.monotonic()
    evaluating.notify("$/cancelRequest", {"id": evaluating.evaluation})
    answer = evaluating.answer(evaluating.evaluation)
    assert (answer["error"]["code"], answer["error"]["data"]) == (-32800, {"kind": "cancelled"})
    assert time.monotonic() - asked < 5
    ends_well(evaluating)


def test_shutdown_cancels_what_runs(evaluating):
    bye = evaluating.request("shutdown")
    codes = {}
    while len(codes) < 2:
        message = evaluating.receive()
        if "id" in message:
            codes[message["id"]] = message.get("error", {}).get("code")
    assert codes == {bye: None, evaluating.evaluation: -32800}
    evaluating.notify("exit", {})
    assert evaluating.exit_code() == 0


def test_end_of_input_cancels_what_runs(evaluating):
    evaluating.process.stdin.close()
    assert evaluating.exit_code() == 1


def test_the_same_id_twice(evaluating):
    """Nobody should; both are answered."""
    evaluating.send(request("twin"))
    evaluating.send(request("twin", "model/list"))
    assert {tuple(evaluating.answer("twin")["result"])[0] for _ in range(2)} == {"version", "models"}


def test_too_many_requests(evaluating):
    """What is beyond the limit is refused at once; all others are answered."""
    limit = evaluating.initialized["limits"]["requests"]
    data = b"".join(
        frame(request(f"e{number}", "evaluate/perplexity", params={"model": "sapling", "dataset": "text"}))
        for number in range(limit + 10)
    )
    evaluating.send_bytes(data)
    refused = [evaluating.answer(f"e{number}")["error"]["data"] for number in range(limit - 1, limit + 10)]
    assert refused == 11 * [{"kind": "tooManyRequests", "limit": limit, "retryAfterMs": 100, "module": "Server"}]
    bye = evaluating.request("shutdown")
    answered = set()
    while len(answered) < limit + 1:
        message = evaluating.receive()
        if "id" in message:
            answered.add(message["id"])
            assert message["id"] == bye or message["error"]["code"] == -32800
    evaluating.notify("exit", {})
    assert evaluating.exit_code() == 0


def test_requests_may_be_sent_in_one_go(daemon):
    """Each waits for what it needs of the one before."""
    text = {"path": "builtin:sapling/evaluation", "model": "m", "sequenceLength": 64, "sequences": 2, "name": "t"}
    wanted = [
        daemon.request("model/load", {"source": "builtin:sapling", "name": "m"}),
        daemon.request("dataset/load", text),
        daemon.request("evaluate/perplexity", {"model": "m", "dataset": "t"}),
        daemon.request("importance/score", {"model": "m", "plugin": "magnitude", "modules": ["*.q_proj.*"]}),
        daemon.request("mask/edit", {"model": "m", "edits": [{"op": "prune", "layer": 1, "heads": [0]}]}),
        daemon.request("mask/undo", {"model": "m"}),
        daemon.request("evaluate/perplexity", {"model": "m", "dataset": "t"}),
    ]
    found = {}
    while len(found) < len(wanted):
        message = daemon.receive()
        assert "error" not in message, message
        found[message["id"]] = message["result"]
    first, again = found[wanted[2]], found[wanted[-1]]
    assert first["revision"] == again["revision"] == "r0"
    assert first["perplexity"] == again["perplexity"]


def test_the_same_session_gives_the_same_bits(start):
    """Perplexities and scores to the last digit, in two daemons."""

    def session():
        daemon = start("--threads", 2)
        daemon.call("model/load", {"source": "builtin:sapling"})
        text = {"path": "builtin:sapling/calibration", "model": "sapling", "sequenceLength": 64, "sequences": 8}
        daemon.call("dataset/load", text)
        scoring = {"model": "sapling", "plugin": "wanda", "dataset": "d1", "modules": ["*.mlp.down_proj.*"]}
        scores = daemon.call("importance/score", scoring)
        daemon.call("mask/apply", {"model": "sapling", "scores": "s1", "sparsity": 0.5})
        evaluation = daemon.call("evaluate/perplexity", {"model": "sapling", "dataset": "d1"})
        return scores["tensors"], evaluation["perWindow"]

    assert session() == session()


LOUD_PLUGIN = r"""
#include "espalier_plugin.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void shout(const char *text) {
  puts(text);
  fflush(stdout);
  if (write(1, "Content-Length: 2\r\n\r\n{}", 24) < 0) return;
}

__attribute__((constructor)) static void begin(void) { shout("loading aloud"); }

static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                     float *scores, espalier_message *message) {
  (void)host, (void)parameters, (void)message;
  shout("scoring aloud");
  for (int64_t i = 0; i < matrix->rows * matrix->columns; i++) scores[i] = (float)i;
  return ESPALIER_OK;
}

static const espalier_selector selector = {
  .struct_size = sizeof selector, .default_group = ESPALIER_GROUP_MATRIX, .score = score,
};

static const void *get_extension(const char *id) { return strcmp(id, ESPALIER_SELECTOR) == 0 ? &selector : NULL; }

const espalier_plugin_descriptor espalier_plugin = {
  .struct_size = sizeof espalier_plugin, .abi_major = ESPALIER_ABI_MAJOR, .abi_minor = ESPALIER_ABI_MINOR,
  .id = "loud", .version = "1.0.0", .summary = "Counts, aloud", .licence = "Apache-2.0",
  .get_extension = get_extension,
};
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_what_a_plugin_prints_is_no_answer(daemon, tmp_path):
    """Standard output belongs to the protocol, whatever C code writes to it. Any third party's plugin will do."""
    (tmp_path / "loud.c").write_text(LOUD_PLUGIN)
    library = tmp_path / "loud.so"
    flags = ["-std=c11", "-shared", "-fPIC", "-I", ROOT / "protocol"]
    subprocess.run(["cc", *flags, "-o", library, tmp_path / "loud.c"], check=True)
    assert daemon.call("plugin/load", {"path": str(library)})["plugin"] == "loud"
    daemon.call("model/load", {"source": "builtin:sapling"})
    scores = daemon.call("importance/score", {"model": "sapling", "plugin": "loud", "modules": ["*.q_proj.*"]})
    assert [tensor["maximum"] for tensor in scores["tensors"]] == 6 * [192 * 192 - 1]
    ends_well(daemon)
    for words in (b"loading aloud", b"scoring aloud"):
        assert words in daemon.stderr


def test_errors_leave_everything_as_it_was(daemon):
    daemon.call("model/load", {"source": "builtin:sapling"})
    before = daemon.call("model/describe", {"model": "sapling"})
    for method, params in [
        ("mask/apply", {"model": "sapling", "scores": "s9", "sparsity": 0.5}),
        ("mask/edit", {"model": "sapling", "edits": [{"op": "prune", "layer": 0, "heads": [99]}]}),
        ("mask/load", {"model": "sapling", "path": "/etc/hostname"}),
        ("prune/run", {"model": "sapling", "plugin": "wanda", "sparsity": 0.5}),
        ("model/load", {"source": "builtin:sapling"}),
        ("revision/checkout", {"model": "sapling", "target": "r5"}),
    ]:
        with pytest.raises(Failed):
            daemon.call(method, params)
    assert daemon.call("model/describe", {"model": "sapling"}) == before
