"""The example sessions in protocol/transcripts happen as they are written."""

import pytest

from patterns import mismatch
from sessions import played
from transcripts import FILES, lines, play


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_transcript(path):
    played(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_transcript_is_whole(path):
    kinds = [kind for _, kind, _ in lines(path)]
    assert kinds[0] == "note", "a transcript begins by saying what it shows"
    assert kinds[-1] == "exit", "a transcript ends with the exit code"


def test_a_wrong_answer_is_found(start, tmp_path):
    """The runner itself: a transcript that expects something else must fail."""
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text(
        '{"send": {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}}\n'
        '{"receive": {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2", "...": "..."}}}\n'
    )
    with pytest.raises(AssertionError, match=r"wrong.jsonl:2: \$.result.protocolVersion is '1'; expected '2'"):
        play(wrong, start(initialize=False), tmp_path)


@pytest.mark.parametrize(
    "pattern, value",
    [
        ({"a": 1, "...": "..."}, {"a": 1, "b": 2}),
        ([1, "..."], [1, 2, 3]),
        (["..."], []),
        ({"~": 2.0, "tolerance": 0.1}, 2.05),
        (["<number>", "<integer>", "<string>", "<boolean>", "<any>"], [1.5, 2, "x", True, None]),
        (["<same:x>", "<same:x>"], [1.25, 1.25]),
        ("/a/.../b", "/a/x/y/b"),
        ({"a": "<object>", "b": "<array>"}, {"a": {}, "b": []}),
    ],
)
def test_patterns_that_match(pattern, value):
    assert mismatch(pattern, value, {}) is None


@pytest.mark.parametrize(
    "pattern, value",
    [
        (1, 2),
        (1, True),
        (1, 1.0),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1, "...": "..."}, {"b": 2}),
        ([1], [1, 2]),
        ([1, 2, "..."], [1]),
        ({"~": 2.0, "tolerance": 0.1}, 2.2),
        ({"~": 2.0, "tolerance": 0.1}, "2"),
        ({"~": 2.0, "tolerance": 0.1}, float("nan")),
        ("<number>", "1"),
        ("<number>", True),
        ("<integer>", 1.5),
        ("<string>", None),
        (["<same:x>", "<same:x>"], [1.25, 1.250001]),
        ("/a/.../b", "/a/b"),
        ("/a/.../b", "/a/x/c"),
        (None, 0),
    ],
)
def test_patterns_that_do_not(pattern, value):
    assert mismatch(pattern, value, {}) is not None
