"""Patterns of messages, as transcripts and examples are written in (protocol/transcripts/README.md).

A pattern is a JSON value. It matches a value that is equal to it, except for

    "<number>" "<integer>" "<string>" "<boolean>" "<array>" "<object>" "<any>"   any value of that type
    "<same:NAME>"                       anything at first, from then on exactly what it was
    {"~": VALUE, "tolerance": T}        a number that differs by at most T
    [..., "..."]                        an array that may go on
    {..., "...": "..."}                 an object that may have further members
    "/a/.../b"                          a string with anything in the place of the dots
"""

import math
import re

TYPES = {
    "<number>": (int, float),
    "<integer>": int,
    "<string>": str,
    "<boolean>": bool,
    "<array>": list,
    "<object>": dict,
    "<any>": object,
}
MORE = "..."


def mismatch(pattern, value, names, path="$"):
    """What is wrong with `value`, in words that begin with its path; None if it matches.

    names: what "<same:NAME>" stood for so far; grows.
    """
    if isinstance(pattern, str):
        return _mismatch_of_text(pattern, value, names, path)
    if isinstance(pattern, dict):
        return _mismatch_of_object(pattern, value, names, path)
    if isinstance(pattern, list):
        return _mismatch_of_array(pattern, value, names, path)
    if type(pattern) is not type(value) or pattern != value:
        return _differs(pattern, value, path)
    return None


def fill(pattern, names):
    """`pattern` with every "<same:NAME>" replaced by what it stands for."""
    if isinstance(pattern, dict):
        return {key: fill(value, names) for key, value in pattern.items()}
    if isinstance(pattern, list):
        return [fill(value, names) for value in pattern]
    return names[pattern] if _name(pattern) else pattern


def _name(pattern):
    return isinstance(pattern, str) and pattern.startswith("<same:") and pattern.endswith(">")


def _mismatch_of_text(pattern, value, names, path):
    if _name(pattern):
        if names.setdefault(pattern, value) == value:
            return None
        return f"{path} is {_short(value)}; expected {_short(names[pattern])}, as before ({pattern})"
    if pattern in TYPES:
        is_boolean = isinstance(value, bool) and pattern in ("<number>", "<integer>")
        if isinstance(value, TYPES[pattern]) and not is_boolean:
            return None
        return _differs(pattern, value, path)
    if MORE in pattern and isinstance(value, str):
        parts = [re.escape(part) for part in pattern.split(MORE)]
        return None if re.fullmatch(".*".join(parts), value, re.DOTALL) else _differs(pattern, value, path)
    return None if pattern == value else _differs(pattern, value, path)


def _mismatch_of_object(pattern, value, names, path):
    if "~" in pattern:
        expected, tolerance = pattern["~"], pattern["tolerance"]
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if is_number and math.isfinite(value) and abs(value - expected) <= tolerance:
            return None
        return f"{path} is {_short(value)}; expected {expected} within {tolerance}"
    if not isinstance(value, dict):
        return f"{path} is {_short(value)}; expected an object"
    for key, expected in pattern.items():
        if key == MORE:
            continue
        if key not in value:
            return f"{path}.{key} is missing"
        if problem := mismatch(expected, value[key], names, f"{path}.{key}"):
            return problem
    strangers = [key for key in value if key not in pattern]
    if strangers and MORE not in pattern:
        return f"{path}.{strangers[0]} is not expected (its value is {_short(value[strangers[0]])})"
    return None


def _mismatch_of_array(pattern, value, names, path):
    if not isinstance(value, list):
        return f"{path} is {_short(value)}; expected an array"
    goes_on = pattern[-1:] == [MORE]
    expected = pattern[:-1] if goes_on else pattern
    if len(value) < len(expected) or (len(value) > len(expected) and not goes_on):
        return f"{path} has {len(value)} elements; expected {len(expected)}{' or more' * goes_on}"
    for index, (element, actual) in enumerate(zip(expected, value)):
        if problem := mismatch(element, actual, names, f"{path}[{index}]"):
            return problem
    return None


def _differs(pattern, value, path):
    return f"{path} is {_short(value)}; expected {_short(pattern)}"


def _short(value):
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "..."
