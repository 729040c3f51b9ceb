#!/usr/bin/env python3
"""Fits the weights of `crates/truth/src/rerank.rs`: which of the passages that were found is the right one (conditional logit).

    target/release/examples/measure signals MODEL fairytaleqa-val.jsonl > signals.jsonl
    python3 runs/truth/rerank.py signals.jsonl
"""
import json
import sys

import numpy as np
from scipy.optimize import minimize

PENALTY = 1.0


def main():
    cases = []
    for line in open(sys.argv[1]):
        record = json.loads(line)
        right = np.array(record.get("right", []), float)
        if 0 < right.sum() < len(right):
            cases.append((np.array(record["signals"]), right))
    scale = np.concatenate([signals for signals, _ in cases]).std(axis=0)

    def loss(weights):
        total, slope = PENALTY * weights @ weights / 2, PENALTY * weights
        for signals, right in cases:
            x = signals / scale
            p = np.exp(x @ weights - (x @ weights).max())
            p /= p.sum()
            of_right = p * right
            total -= np.log(of_right.sum())
            slope = slope - (of_right / of_right.sum() - p) @ x
        return total, slope

    fitted = minimize(loss, np.zeros(len(scale)), jac=True, method="L-BFGS-B").x / scale
    print(f"{len(cases)} questions whose passage was found and is not alone: weights {np.round(fitted, 3).tolist()}")


if __name__ == "__main__":
    main()
