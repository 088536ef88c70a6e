"""How fast the fits are: ratios of both ways in one process. Run by hand:

    python tests/benchmarks/bench_fit.py [STARTS]

1. One fit (every start, to the end) against a 64-start scipy L-BFGS-B with analytic gradients.
2. One fit of a thousand resamples, each searched anew, against the same.
Both are of processor time, so that a busy machine does not bend them; set OMP_NUM_THREADS=1.
3. The 7,200 six-run draws of arXiv 2501.18107 for both laws, with their summary.
"""

from __future__ import annotations

import sys
from time import perf_counter, process_time

import numpy as np
from scipy.optimize import minimize

from core.fit.fit import Fit
from core.fit.resample import with_resamples
from core.fit.solve import fit, problem_of
from core.formats.runs.suites import suite
from core.paper.reproduce import reproduction
from core.records.progress import outcome
from core.records.training_runs import TrainingRuns

STARTS = 64
# analytic gradient of the sum of Huber of log losses, in the usual parameters (ln A, ln B, ln E)
DELTA = 1e-3


def scipy_fit(runs: TrainingRuns, shape: bool, tied: bool, starts: int) -> tuple[float, float]:
    """Best objective and seconds of a multi-start L-BFGS-B as people write it."""
    n, d = np.log(runs.columns["params_total"]), np.log(runs.columns["tokens"])
    r = np.log(runs.columns["d_model"] / runs.columns["n_layers"])
    target = np.log(runs.columns["loss"])

    def value(theta):
        with np.errstate(over="ignore", invalid="ignore"):
            return plain_value(theta)

    def plain_value(theta):
        a, b, e, alpha, beta, epsilon, gamma = unpack(theta)
        at, bt, et = np.exp(a - alpha * n), np.exp(b - beta * d), np.exp(e)
        total = at + bt + et
        power = np.exp(gamma * r)
        factor = 1 + epsilon * power
        if (factor <= 0).any():
            return 1e6, np.zeros(len(theta))
        miss = np.log(total) + np.log(factor) - target
        size = np.abs(miss)
        small = size <= DELTA
        each = np.where(small, 0.5 * miss * miss, DELTA * (size - 0.5 * DELTA))
        pull = np.where(small, miss, DELTA * np.sign(miss))
        parts = [at / total, bt / total, et / total, -at * n / total, -bt * d / total]
        if shape:
            parts += [power / factor, epsilon * power * r / factor]
        slope = np.array([pull @ p if np.ndim(p) else pull.sum() * p for p in parts])
        # scaled as Besiroglu et al. advise, or the stopping rule ends it at once
        return 1e3 * each.sum(), 1e3 * pack(slope)

    def unpack(theta):
        a, b, e, alpha = theta[:4]
        beta = alpha if tied else theta[4]
        if not shape:
            return a, b, e, alpha, beta, 0.0, 0.0
        return a, b, e, alpha, beta, theta[-1], (alpha if tied else theta[5])

    def pack(slope):
        base = [*slope[:3], slope[3] + (slope[4] if tied else 0.0)]
        if not tied:
            base.append(slope[4])
        if shape:
            if tied:
                base[3] += slope[6]
            else:
                base.append(slope[6])
            base.append(slope[5])
        return np.array(base)

    rng = np.random.default_rng(0)
    best, started = np.inf, process_time()
    for _ in range(starts):
        start = [*rng.uniform(0, 25, 2), rng.uniform(-1, 1), rng.uniform(0, 2)]
        bounds = [(None, None)] * 3 + [(0, None)]
        if not tied:
            start.append(rng.uniform(0, 2))
            bounds.append((0, None))
        if shape:
            if not tied:
                start.append(rng.uniform(-1, 1))
                bounds.append((-3, 3))
            start.append(rng.uniform(0, 0.01))
            bounds.append((None, None))
        end = minimize(
            value, start, jac=True, method="L-BFGS-B", bounds=bounds,
            options={"maxiter": 5000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-10},
        )  # fmt: skip
        best = min(best, end.fun / 1e3)
    return best, process_time() - started


def timed(call):
    """What a call returns, and its processor seconds: best of three."""
    best, result = np.inf, None
    for _ in range(3):
        started = process_time()
        result = call()
        best = min(best, process_time() - started)
    return result, best


def one_law(name: str, law: str, tied: bool, starts: int) -> None:
    runs = suite(name)
    theirs, their_s = scipy_fit(runs, law != "chinchilla", tied, starts)
    their_s *= STARTS / starts
    ours, our_s = timed(lambda: fit(runs, law, tied=tied, method="huber"))
    assert isinstance(ours, Fit)
    started = process_time()
    many = with_resamples(ours, runs, 1000)
    each_s = (process_time() - started) / 1000
    problem, _ = problem_of(ours, runs)
    print(
        f"{name:<13}{law:<17}{'tied' if tied else 'free':<6}n {problem.loss.size:<4}"
        f"64-start L-BFGS-B {their_s:7.2f} s  one fit {1e3 * our_s:7.1f} ms ({their_s / our_s:6.0f}x)"
        f"  a resample {1e3 * each_s:6.2f} ms ({their_s / each_s:7.0f}x, {len(many.resamples)})"
        f"  objective ours/theirs - 1 = {ours.objective / theirs - 1:+.1e}",
        flush=True,
    )


def main() -> None:
    """Print the ratios."""
    starts = int(sys.argv[1]) if len(sys.argv) > 1 else STARTS
    for name in ("morph", "gemstones", "overtraining"):
        for law, tied in (
            ("chinchilla", True),
            ("chinchilla", False),
            ("inference-aware", True),
            ("inference-aware", False),
        ):
            one_law(name, law, tied, starts)
    started = perf_counter()
    found = outcome(reproduction())
    print(f"7,200 draws, both laws and the paper's solver: {perf_counter() - started:.1f} s")
    print(found.text())


if __name__ == "__main__":
    main()
