"""Everything that goes over the pipe in the transcripts and on the tour, for the tests that look at messages."""

import functools
import tempfile

import tour
import transcripts
from daemon import Daemon, find_binary


def played(path):
    """What a transcript sends and receives. It is played once for all tests."""
    outcome = _attempt(path)
    if isinstance(outcome, AssertionError):
        raise outcome
    return outcome


@functools.cache
def tour_steps():
    """The tour, made once for all tests."""
    with tempfile.TemporaryDirectory() as folder, Daemon(folder=folder, initialize=False) as daemon:
        return tour.run(daemon, program_folder())


@functools.cache
def exchanges():
    """(session, request, answer) for every request that was answered under its id, batches taken apart."""
    found = [("tour", step.request, step.answer) for step in tour_steps()]
    for path in transcripts.FILES:
        requests = {}
        for way, message in _apart(_played_if_it_can(path)):
            if way == "send" and "id" in message:
                requests[message["id"]] = message
            elif way == "receive" and message.get("id") in requests:
                found.append((path.stem, requests.pop(message["id"]), message))
    return found


def notifications():
    """Every notification that the daemon sent in the transcripts."""
    messages = (pair for path in transcripts.FILES for pair in _apart(_played_if_it_can(path)))
    return [message for way, message in messages if way == "receive" and "method" in message]


@functools.cache
def _attempt(path):
    with tempfile.TemporaryDirectory() as folder, Daemon(folder=folder, initialize=False) as daemon:
        try:
            return transcripts.play(path, daemon, folder)
        except AssertionError as error:
            return error


def _played_if_it_can(path):
    """Nothing of a transcript that fails: test_transcripts.py says so."""
    try:
        return played(path)
    except AssertionError:
        return []


def program_folder():
    return find_binary().resolve().parent


def _apart(exchanged):
    """The same with batches taken apart, and without what is no object."""
    for way, message in exchanged:
        for single in message if isinstance(message, list) else [message]:
            if isinstance(single, dict):
                yield way, single
