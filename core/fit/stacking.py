"""How much each of several laws is believed: weights by the runs they predicted without their shape."""

from __future__ import annotations

import numpy as np

from core.arrays import Floats, Indices

ROUNDS = 100
# how many shapes' worth of belief is spread evenly over the laws before any shape was predicted
PRIOR_SHAPES = 1.0
# a law that misses by as many times more than the best is no candidate for the truth
HOPELESS = 20.0


def stacked(errors: Floats, shapes: Indices) -> Floats:
    """Weights (K,) of K laws, summing to 1, from their log errors (K,n) on runs of shapes left out.

    They maximise the log score of the mixture of the laws' predictions, each a normal distribution as
    wide as its own errors (stacking of predictive distributions, Yao et al. 2018, arXiv 1704.02030),
    by expectation maximisation. Every shape counts once, however many runs it has.
    """
    laws, runs = errors.shape
    size = np.sqrt(np.mean(errors**2, axis=1))
    good = np.isfinite(size) & (size <= HOPELESS * np.nanmin(size))
    # a law without any error would take every weight by an infinite density
    width = np.maximum(size, 1e-9)[:, None]
    density = np.zeros((laws, runs))
    density[good] = np.exp(-0.5 * (errors[good] / width[good]) ** 2) / width[good]
    counts = np.bincount(shapes)
    share = 1.0 / counts[shapes]
    believed = good / good.sum()
    weights = believed
    for _ in range(ROUNDS):
        each = weights[:, None] * density
        each = each / np.maximum(each.sum(axis=0), 1e-300)
        weights = (each @ share + PRIOR_SHAPES * believed) / (len(counts) + PRIOR_SHAPES)
        weights = weights / weights.sum()
    return np.asarray(weights)
