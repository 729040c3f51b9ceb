"""Functions that windows.yaml names."""


def results(doc, results):
    """Mean nats per token of a window, and whether every token was the likeliest."""
    logprob, greedy = results[0]
    return {"nll": -logprob / doc["tokens"], "greedy": float(greedy)}
