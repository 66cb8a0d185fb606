"""Everything that goes over the pipe in the transcripts and on the tour, for the tests that look at messages."""

import functools
import tempfile

import tour
import transcripts
from daemon import Daemon, find_binary


@functools.cache
def exchanges():
    """(session, request, answer) for every request that was answered under its id, batches taken apart."""
    found = []
    for path in transcripts.FILES:
        with tempfile.TemporaryDirectory() as folder, Daemon(folder=folder, initialize=False) as daemon:
            found += _pairs(path.stem, transcripts.play(path, daemon, folder))
    return found + [("tour", step.request, step.answer) for step in tour_steps()]


@functools.cache
def tour_steps():
    with tempfile.TemporaryDirectory() as folder, Daemon(folder=folder, initialize=False) as daemon:
        return tour.run(daemon, program_folder())


@functools.cache
def notifications():
    """Every notification that the daemon sent in the transcripts."""
    found = []
    for path in transcripts.FILES:
        with tempfile.TemporaryDirectory() as folder, Daemon(folder=folder, initialize=False) as daemon:
            messages = _apart(message for way, message in transcripts.play(path, daemon, folder) if way == "receive")
            found += [message for message in messages if "method" in message]
    return found


def program_folder():
    return find_binary().resolve().parent


def _pairs(session, exchanged):
    requests = {}
    for way, message in exchanged:
        for single in _apart([message]):
            if way == "send" and "id" in single:
                requests[single["id"]] = single
            elif way == "receive" and single.get("id") in requests:
                yield session, requests.pop(single["id"]), single


def _apart(messages):
    for message in messages:
        yield from (single for single in (message if isinstance(message, list) else [message]) if isinstance(single, dict))
