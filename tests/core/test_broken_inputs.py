"""Every reader answers or says in one line what is wrong, whatever it is given.

More inputs by hand: `python tests/benchmarks/fuzz_readers.py N SEED`.
"""

import random

import pytest
from broken_inputs import doors, tried

INPUTS = 150
SEED = 13


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("door", doors(), ids=lambda door: door.name)
def test_broken_inputs_end_in_nothing_but_the_documented_error(door, tmp_path):
    for n in range(INPUTS):
        name, content, error = tried(door, tmp_path, random.Random(f"{SEED}-{n}"))
        assert error is None, f"input {n}, {name}: {error!r}; it begins {content[:200]!r}"
