"""The protocol against machines whose truth is known, on a clock that is not a clock."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.measure.timing import protocol
from core.measure.timing.clock import Clock, ClockError, gaps_s
from core.measure.timing.protocol import Outcome, Settings, round_text
from core.samples.statistics import median_interval

MS = 1_000_000


class Machine:
    """A fake machine: time passes only when something runs on it."""

    def __init__(self, jump=None):
        self.ns = 1
        self.jump = jump
        self.offset = 0
        self.log = []

    def clock(self):
        return Clock(lambda: self.ns + self.offset, lambda: self.ns)

    def subject(self, name, cost_ms, tokens=10, noise=0.0, seed=0):
        return Fake(self, name, cost_ms, tokens, noise, seed)


class Fake:
    def __init__(self, machine, name, cost_ms, tokens, noise, seed):
        self.machine, self.name, self.tokens = machine, name, tokens
        self.cost = cost_ms if callable(cost_ms) else lambda _ns: cost_ms
        self.noise, self.rng = noise, random.Random(seed)
        self.warmed = 0

    def spend(self, times=1.0):
        ms = self.cost(self.machine.ns) * times * (1 + self.noise * self.rng.uniform(-1, 1))
        self.machine.ns += int(ms * MS)
        return ms / 1e3

    def warm(self):
        self.warmed += 1
        self.machine.log.append(f"warm {self.name}")
        return self.spend()

    def request(self):
        self.machine.log.append(self.name)
        ttft = self.spend(3)
        tpot = [self.spend() for _ in range(self.tokens - 1)]
        if self.machine.jump:
            self.machine.offset += self.machine.jump
        return {"ttft": [ttft], "tpot": tpot, "e2e": [ttft + sum(tpot)]}

    def first(self):
        return {"ttft": [self.spend(3)]}


def run(machine, subjects, settings=None, **options):
    return protocol.run(subjects, settings or Settings(), machine.clock(), **options)


def test_quiet_machine_is_measured_exactly_with_the_least_blocks():
    machine = Machine()
    outcome = run(machine, {"a": machine.subject("a", 5.0)})["a"]
    assert outcome.flags == [] and outcome.stopped_by == "interval"
    assert len(outcome.blocks["tpot"]) == 6
    assert all(t == 0.005 for block in outcome.blocks["tpot"] for t in block)
    assert all(len(block) >= 20 for block in outcome.blocks["tpot"])
    # first tokens are sampled beyond those of the requests, within a fifth of the time
    assert all(len(block) > 3 for block in outcome.blocks["ttft"])


def test_warm_up_goes_on_until_five_medians_agree():
    machine = Machine()
    costs = iter([50, 30, 20, 12, 11, 10, 10, 10, 10, 10, *([10] * 1000)])
    subject = machine.subject("a", lambda _ns: next(costs))
    outcome = Outcome()
    protocol.warm_up(subject, Settings(), machine.clock(), outcome)
    assert subject.warmed == 10 and outcome.flags == []


def test_warm_up_that_still_falls_is_flagged():
    machine = Machine()
    subject = machine.subject("a", lambda ns: 500 / (1 + ns / 1e9))
    outcome = Outcome()
    protocol.warm_up(subject, Settings(), machine.clock(), outcome)
    assert outcome.flags == ["unstable-warmup"]
    assert 3e9 <= machine.ns < 4e9


def test_noise_widens_the_interval_and_is_flagged_after_two_retries():
    machine = Machine()
    subject = machine.subject("a", 5.0, noise=0.5)
    outcome = run(machine, {"a": subject}, Settings(budget_s=1000, max_blocks=10))["a"]
    assert "noisy" in outcome.flags and outcome.attempts == 3
    quiet = Machine()
    calm = run(quiet, {"a": quiet.subject("a", 5.0, noise=0.02)})["a"]
    assert "noisy" not in calm.flags and calm.attempts == 1
    assert outcome.half_width() > 3 * calm.half_width() > 0


def test_a_noisy_point_is_retried_also_where_there_is_no_anchor():
    machine = Machine()
    settings = Settings(budget_s=1000, max_blocks=10)
    named = frozenset({"anchor"})
    outcome = run(machine, {"a": machine.subject("a", 5.0, noise=0.5)}, settings, companions=named)
    assert set(outcome) == {"a"} and outcome["a"].attempts == 3


def test_growth_with_context_is_not_noise():
    machine = Machine()

    class Growing(Fake):
        def request(self):
            tpot = [0.001 * (1 + i / 10) for i in range(20)]
            machine.ns += int(1e9 * sum(tpot))
            return {"ttft": [0.003], "tpot": tpot, "e2e": [0.003 + sum(tpot)]}

    subject = Growing(machine, "a", 1.0, 21, 0.0, 0)
    assert "noisy" not in run(machine, {"a": subject}, periods={"a": 20})["a"].flags
    assert "noisy" in run(machine, {"a": subject}, periods={"a": 1})["a"].flags


def test_a_spike_of_load_is_outvoted_by_quiet_blocks():
    machine = Machine()
    begun = machine.ns

    def cost(ns):
        return 50.0 if 0.5e9 < ns - begun < 2.0e9 else 5.0

    outcome = run(machine, {"a": machine.subject("a", cost)})["a"]
    medians = [np.median(b) for b in outcome.blocks["tpot"]]
    assert max(medians) > 0.04
    assert np.median(medians) == pytest.approx(0.005)


def test_budget_ends_a_hopeless_measurement_with_a_flag():
    machine = Machine()
    subject = machine.subject("a", 5.0, noise=0.9)
    outcome = run(machine, {"a": subject}, Settings(budget_s=2.0))["a"]
    assert {"budget", "noisy"} <= set(outcome.flags)
    assert outcome.stopped_by == "budget"
    assert machine.ns < 3.5e9


def test_blocks_are_interleaved_and_shuffled_and_the_anchor_never_decides():
    machine = Machine()
    subjects = {
        "a": machine.subject("a", 5.0, tokens=30),
        "b": machine.subject("b", 2.0, tokens=30),
        "anchor": machine.subject("anchor", 1.0, tokens=30, noise=0.9),
    }
    outcomes = run(machine, subjects, companions=frozenset({"anchor"}))
    blocks = [x for x in machine.log if not x.startswith("warm")]
    rounds = [blocks[i : i + 3] for i in range(0, 18, 3)]
    assert all(sorted(r) == ["a", "anchor", "b"] for r in rounds)
    assert len({tuple(r) for r in rounds}) > 1
    assert len(outcomes["anchor"].blocks["tpot"]) == 6
    assert outcomes["a"].stopped_by == outcomes["b"].stopped_by == "interval"


def test_same_seed_same_order():
    logs = []
    for _ in range(2):
        machine = Machine()
        run(machine, {n: machine.subject(n, 1.0) for n in "abc"}, Settings(seed=7))
        logs.append(machine.log)
    assert logs[0] == logs[1]


@pytest.mark.parametrize("jump", [10**9, -(10**9), 50 * MS])
def test_a_jumping_clock_leaves_no_samples(jump):
    machine = Machine(jump)
    outcome = run(machine, {"a": machine.subject("a", 5.0)})["a"]
    assert outcome.flags == ["clock"] and outcome.blocks == {}
    assert "clock" in outcome.message


def test_a_single_jump_loses_one_block_only():
    machine = Machine()
    subject = machine.subject("a", 5.0)
    inner, calls = subject.request, [0]

    def request():
        calls[0] += 1
        if calls[0] == 4:
            machine.offset += 10**9
        return inner()

    subject.request = request
    outcome = run(machine, {"a": subject})["a"]
    assert outcome.flags == []
    assert all(t == 0.005 for block in outcome.blocks["tpot"] for t in block)


def test_a_stopped_clock_is_found_in_the_warm_up():
    machine = Machine()
    clock = Clock(lambda: 5, lambda: machine.ns)
    outcome = protocol.run({"a": machine.subject("a", 5.0)}, Settings(), clock)["a"]
    assert "clock" in outcome.flags and not outcome.blocks


def test_what_is_compiled_after_the_warm_up_is_flagged():
    for moves, flagged in ((False, False), (True, True)):
        machine = Machine()
        subject = machine.subject("a", 5.0)
        count = lambda m=machine, on=moves: 3 + (on and "a" in m.log)  # noqa: E731
        outcome = run(machine, {"a": subject}, compilations=count)["a"]
        assert ("late-compile" in outcome.flags) == flagged


def test_tokens_never_go_back_in_time():
    assert gaps_s([0, 10, 30]) == [1e-8, 2e-8]
    with pytest.raises(ClockError):
        gaps_s([0, 10, 9])
    Clock().check(Clock().mark())


def test_being_put_aside_between_two_readings_is_no_jump():
    # the machine takes this process off its core now and then, between the two clocks' readings
    state = {"ns": 0, "readings": 0}

    def read():
        state["readings"] += 1
        state["ns"] += 200_000_000 if state["readings"] % 5 == 0 else 1000
        return state["ns"]

    clock = Clock(read, read)
    for _ in range(50):
        clock.check(clock.mark())


@given(st.integers(6, 60), st.integers(0, 2**31))
def test_median_interval_encloses_the_sample_median_and_tightens(n, seed):
    values = np.random.default_rng(seed).normal(1, 0.1, n)
    low, high = median_interval(values)
    assert values.min() <= low <= np.median(values) <= high <= values.max()


@pytest.mark.parametrize("n", [6, 9, 15, 40])
def test_median_interval_covers_the_truth_95_times_in_100(n):
    rng = np.random.default_rng(n)
    hits = 0
    for _ in range(1500):
        # skewed, as latencies are: the median of exp(N(0, 1)) is 1
        low, high = median_interval(rng.lognormal(0, 1, n))
        hits += low <= 1 <= high
    assert 0.94 < hits / 1500 <= 0.995


def test_a_round_says_how_sure_it_has_made_what_is_timed():
    inf = float("inf")
    assert round_text(1, {"a": inf}, 0.02) == "round 1"
    assert round_text(4, {"a": 0.0512}, 0.02) == "round 4, ± 5.1 %"
    some = {"a": 0.01, "b": 0.3, "c": inf}
    assert round_text(7, some, 0.02) == "round 7, widest ± 30 %, 1 sure to ± 2 %"


@pytest.mark.parametrize("total_s, ended", [(None, "interval"), (5.0, "budget")])
def test_a_bound_on_the_whole_counts_what_was_spent_on_warming_up(total_s, ended):
    machine = Machine()
    # it compiles for four seconds; two blocks more are within the bound
    compiling = iter([4000.0])
    subject = machine.subject("a", lambda _ns: next(compiling, 40.0))
    outcome = run(machine, {"a": subject}, Settings(total_s=total_s))["a"]
    assert outcome.stopped_by == ended
    assert outcome.blocks["tpot"] and outcome.seconds < (total_s or 1e9) + 2.0


def test_what_is_told_before_anything_is_timed_is_known_for_it():
    prepares = protocol.prepares
    assert prepares("") and prepares("loading 24x768") and prepares("warming up 24x768")
    assert prepares("4 points interleaved, warming up 0")
    assert not prepares("round 3, ± 2 %") and not prepares("energy of loading-7b")
