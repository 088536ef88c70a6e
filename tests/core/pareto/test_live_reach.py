"""What is reached under a moving limit is what counting the rows anew would give."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.pareto.limits import Limit, reachable
from core.pareto.live_reach import prepare_reach

# few different values, so that there are ties; NaN is unknown
numbers = st.sampled_from([0.0, 1.0, 2.0, 3.0, 5.0, np.nan])


@given(
    st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=30),
    st.sampled_from(["<=", ">="]),
    st.sampled_from([None, -1.0, 0.0, 1.5, 2.0, 3.0, 9.0]),
)
def test_it_is_what_the_rows_inside_the_limits_have(rows, side, value):
    loss, time, memory = np.array(rows).T
    columns = {"loss": loss, "tpot_s": time, "memory_bytes": memory}
    others = [Limit("memory_bytes", "<=", 2.0)]
    moving = [] if value is None else [Limit("tpot_s", side, value)]
    expected = reachable(lambda key, _: columns[key], [*others, *moving], len(rows), "loss")
    live = prepare_reach(loss, time, side, memory <= 2.0)
    assert live.at(value) == expected


def test_a_side_it_does_not_know():
    with pytest.raises(ValueError, match="side"):
        prepare_reach(np.ones(2), np.ones(2), "<")
