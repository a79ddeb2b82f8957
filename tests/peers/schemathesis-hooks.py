"""Teaches schemathesis what a site file in TOML is: it sends texts, most of which are none. Gives it names of doors that there
are, and has it look for ways past the scopes and doors of its token."""

import atexit
import collections
import hashlib
import os

import schemathesis
from hypothesis import strategies as st

keys = st.sampled_from(["site.name", "doors.front.strike-ms", "doors.front.name", "codes.nine.digits", "x"])
values = st.one_of(
    st.integers(-5, 100_000).map(str),
    st.sampled_from(["true", "[]", "{}", '"<kept: codes.nine.digits>"', '"<kept: nothing>"', "1979-05-27", "nan"]),
)
lines = st.tuples(keys, values).map(" = ".join)
texts = st.one_of(st.text(max_size=200), st.lists(lines, max_size=6).map("\n".join))
schemathesis.openapi.media_type("application/toml", texts.map(lambda text: text.encode("utf-8", "surrogatepass")))


@schemathesis.serializer("application/toml")
def toml(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


# Tokens that share a run, each with what it may do: `TOKEN SCOPES DOORS` in a line, where doors are all if there are none.
# Without them the run has one token, which may do everything.
TOKENS = [line.split(" ") for line in os.environ.get("DOORLINE_TOKENS", "").splitlines()]
ALL_DOORS = ["front", "back"]


def chosen(case):
    """The same for the same request, and spread over all."""
    seen = repr((case.operation.label, case.path_parameters, case.query, case.body))
    return TOKENS[hashlib.sha256(seen.encode("utf-8", "surrogatepass")).digest()[0] % len(TOKENS)]


@schemathesis.hook
def map_path_parameters(ctx, path_parameters):
    # most names of doors that come to its mind are none; one and the same name is always given to one of two doors, or left
    if path_parameters and isinstance(path_parameters.get("door"), str):
        at = sum(path_parameters["door"].encode("utf-8", "surrogatepass")) % 3
        if at < len(ALL_DOORS):
            path_parameters["door"] = ALL_DOORS[at]
    return path_parameters


@schemathesis.hook
def before_call(ctx, case, kwargs):
    if TOKENS:
        case.headers["Authorization"] = f"Bearer {chosen(case)[0]}"


@schemathesis.check
def scope_is_needed(ctx, response, case):
    token = response.request.headers.get("Authorization", [""])
    token = (token[0] if isinstance(token, list) else token).removeprefix("Bearer ")
    known = [(set(scopes.split(",")), doors) for name, scopes, doors in TOKENS if name == token]
    if not known:
        return
    scopes, doors = known[0]
    tried[",".join(sorted(scopes))] += 1
    ways = case.operation.definition.raw.get("security", [])
    needed = {scope for way in ways for scope in way.get("token", [])}
    if needed and {} not in ways and not needed <= scopes:
        assert response.status_code >= 400, f"needs {needed}, the token has {scopes}"
    door = (case.path_parameters or {}).get("door")
    if doors and door and door not in doors.split(","):
        assert response.status_code >= 400, f"{door} is none of the token's doors: {doors}"


tried = collections.Counter()


@atexit.register
def tell():
    if TOKENS:
        print("requests by scope:", dict(tried))
