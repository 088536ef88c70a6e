"""Tables of runs made from a known law, with an effect of each shape, and candidates to choose from."""

from dataclasses import replace

import numpy as np

from core.fit.doubting import with_doubt
from core.fit.fit import predicted
from core.fit.groups import groups_of
from core.fit.resample import with_resamples
from core.fit.solve import fit
from core.fit.validate import validate
from core.formats.runs.suites import suite
from core.pareto.front import nondominated

SHAPE_SD, RUN_SD = 0.0025, 0.001
DRAWS = 400


def truth_like(law, tied, name="morph"):
    """A law with the parameters that a bundled suite gives it."""
    return fit(suite(name), law, tied=tied)


def simulated(truth, seed, name="morph", shapes=None, shape_sd=SHAPE_SD):
    """The runs of a bundled suite with losses of the truth, an effect of each shape, and scatter."""
    random = np.random.default_rng(seed)
    runs = suite(name)
    groups = groups_of(runs, "shape")
    if shapes is not None:
        some = random.choice(int(groups.max()) + 1, shapes, replace=False)
        runs = runs.take(np.isin(groups, some))
        groups = groups_of(runs, "shape")
    effect = random.normal(0, shape_sd, int(groups.max()) + 1)
    log = np.log(predicted(truth, runs)) + effect[groups] + random.normal(0, RUN_SD, len(runs))
    return replace(runs, columns={**runs.columns, "loss": np.exp(log)})


def doubted(runs, law, tied, method="least-squares", resamples=150):
    """A fit with everything that its intervals need."""
    found = validate(fit(runs, law, tied=tied, method=method), runs)
    return with_doubt(with_resamples(found, runs, resamples), runs)


def candidates(count, random):
    """Shapes within what morph varies, and the time that each would take (as memory-bound decoding)."""
    layers = random.integers(4, 25, 20 * count).astype(float)
    width = 64.0 * random.integers(6, 44, 20 * count)
    body = 12 * layers * width**2
    size = body + 2 * 50432 * width
    ratio = width / layers
    good = np.flatnonzero((size > 8e7) & (size < 1.6e9) & (ratio > 16) & (ratio < 600))[:count]
    columns = {
        "params_total": size,
        "params_non_embedding": body,
        "tokens": np.clip(20 * size, 2e9, 4.5e10),
        "d_model": width,
        "n_layers": layers,
        "ffn_to_attention": np.full(len(size), 2.0),
    }
    columns = {name: values[good] for name, values in columns.items()}
    return columns, 3e-5 * columns["n_layers"] + 2e-12 * columns["params_total"]


def trained(truth, columns, random, shape_sd=SHAPE_SD):
    """The losses (n,) that training each candidate would give."""
    count = len(columns["tokens"])
    log = np.log(truth.predict(columns))
    return np.exp(log + random.normal(0, shape_sd, count) + random.normal(0, RUN_SD, count))


def chances(losses, seconds):
    """The share of draws (S,n) in which each candidate is on the front."""
    hits = np.zeros(losses.shape[1])
    for each in losses:
        hits += nondominated(np.column_stack([seconds, each]))
    return hits / len(losses)


def said_and_happened(truth, law, tied, seeds, count=150):
    """The chance of being on the front by the draws of a fit, and whether it came so, over all worlds.

    Also the share of candidates whose loss lies in the 95 % prediction interval.
    """
    said, happened, inside = [], [], []
    for seed in seeds:
        found = doubted(simulated(truth, seed), law, tied)
        random = np.random.default_rng(1000 + seed)
        columns, seconds = candidates(count, random)
        losses = trained(truth, columns, random)
        number = np.arange(len(losses))
        drawn = found.predictive_draws(columns, number, number, DRAWS)
        said.append(chances(drawn, seconds))
        happened.append(nondominated(np.column_stack([seconds, losses])))
        low, high = found.prediction(columns)
        inside.append((low <= losses) & (losses <= high))
    return np.concatenate(said), np.concatenate(happened), float(np.mean(np.concatenate(inside)))
