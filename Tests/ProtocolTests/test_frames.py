"""Messages cut out of the stream of bytes, as LSP 3.17 frames them: what is a frame, and what is none."""

import json
import time

import pytest

from asking import BODY, LENGTH, MIB, answers, ends_well, refusal, request
from daemon import frame


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
