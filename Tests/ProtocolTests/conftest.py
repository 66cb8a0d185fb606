"""The tests of the protocol, from outside: a client in another language than the daemon's.

    pip install -r Tests/ProtocolTests/requirements.txt
    python3 -m pytest Tests/ProtocolTests

They test the program that ESPALIER_BINARY names, or else the one that was built in this repository.
"""

import pytest

from daemon import Daemon, find_binary
from distilling import prepare


def pytest_collection_modifyitems(items):
    if find_binary() is None:
        reason = "no espalier: build it (swift build -c release), or name it in ESPALIER_BINARY"
        for item in items:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def start():
    """Starts daemons that are gone when the test is over."""
    daemons = []

    def begin(*arguments, **options):
        daemons.append(Daemon(*arguments, **options))
        return daemons[-1]

    yield begin
    for daemon in daemons:
        daemon.__exit__()


@pytest.fixture
def daemon(start):
    """An initialized daemon."""
    return start()


@pytest.fixture
def runs(daemon):
    """A daemon with a pruned model and a text."""
    return prepare(daemon)
