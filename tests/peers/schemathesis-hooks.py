"""Teaches schemathesis what a site file in TOML is: it sends texts, most of which are none."""

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
