"""JSON and messages in frames: read strictly, ids as they came, and batches. (JSON-RPC 2.0)"""

import pytest

from asking import BODY, answers, refusal, request
from daemon import frame


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
