"""Small fits and figures on a few numbers: logistic, choice among candidates, AUROC, calibration error."""

import numpy as np


def scaled(x):
    return x.mean(0), x.std(0) + 1e-6


class Linear:
    """bias + sum of weight x feature, on the features as they come (the scaling is folded into the weights)."""

    def __init__(self, weights, bias):
        self.weights, self.bias = weights, bias

    def __call__(self, x):
        return x @ self.weights + self.bias

    def named(self, names):
        return {"bias": round(float(self.bias), 5), "weights": {n: round(float(w), 5) for n, w in zip(names, self.weights)}}


def logistic(x, y, penalty=1.0, rounds=40, sample=None):
    """An L2-penalised logistic fit by Newton's method; `sample` weighs the rows."""
    mean, std = scaled(x)
    z, c = np.c_[(x - mean) / std, np.ones(len(x))], np.ones(len(x)) if sample is None else sample
    w, keep = np.zeros(z.shape[1]), np.r_[np.ones(x.shape[1]), 1e-6]
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-np.clip(z @ w, -30, 30)))
        w -= np.linalg.solve((z * (c * p * (1 - p))[:, None]).T @ z + penalty * np.diag(keep), z.T @ (c * (p - y)) + penalty * keep * w)
    return Linear(w[:-1] / std, w[-1] - (w[:-1] * mean / std).sum())


def choice(x, group, y, penalty=1.0, rounds=30):
    """Weights under which softmax within a group puts most on the rows with the largest share of y (conditional logit)."""
    mean, std = scaled(x)
    total = np.bincount(group, y, minlength=group.max() + 1)
    ok = total[group] > 0
    z, y = (x[ok] - mean) / std, y[ok] / total[group[ok]]
    g = np.unique(group[ok], return_inverse=True)[1]
    w = np.zeros(z.shape[1])
    for _ in range(rounds):
        s, top = z @ w, np.full(g.max() + 1, -1e9)
        np.maximum.at(top, g, s)
        p = np.exp(s - top[g])
        p /= np.bincount(g, p)[g]
        mixed = np.zeros((g.max() + 1, z.shape[1]))
        np.add.at(mixed, g, z * p[:, None])
        w -= np.linalg.solve((z * p[:, None]).T @ z - mixed.T @ mixed + penalty * np.eye(len(w)), z.T @ (p - y) + penalty * w)
    return Linear(w / std, 0.0)


def best_rows(score, group):
    """The row with the best score of each group, by group."""
    best = {}
    for n, g in enumerate(group):
        if g not in best or score[n] > score[best[g]]:
            best[g] = n
    return best


def auroc(scores, labels):
    scores, labels = np.asarray(scores, float), np.asarray(labels, bool)
    values, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    p, n = labels.sum(), (~labels).sum()
    return float((ranks[labels].sum() - p * (p + 1) / 2) / (p * n))


def calibration_error(p, y, bins=15):
    """Mean gap between stated and true share over bins of equal mass."""
    order = np.array_split(np.argsort(p), bins)
    return float(sum(len(o) * abs(p[o].mean() - y[o].mean()) for o in order) / len(p))


def best_threshold(scores, labels):
    """The cut with the best balanced accuracy."""
    cuts = np.unique(scores)
    return cuts[int(np.argmax([balanced(scores, labels, c) for c in cuts]))]


def balanced(scores, labels, cut):
    scores, labels = np.asarray(scores), np.asarray(labels, bool)
    return float((scores[labels] >= cut).mean() / 2 + (scores[~labels] < cut).mean() / 2)


sigmoid = lambda v: 1 / (1 + np.exp(-np.clip(v, -30, 30)))
