"""Bytes sent to a daemon, and what it answers to them; each time the daemon still serves afterwards."""

import json

from daemon import frame

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


# The body of a sound request.
BODY = json.dumps(request(1)).encode()
LENGTH = len(BODY)
