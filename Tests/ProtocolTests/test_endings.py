"""How a session ends: by the client's word, with its input or output, by a signal; and wrong arguments."""

import signal

import pytest

from asking import request
from daemon import Ended


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
