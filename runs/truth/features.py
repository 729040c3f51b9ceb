"""The numbers, beside the encoders' own, that choose a sentence, say how sure that is, and settle a claim's verdict.

Every one is cheap, exact and computed from the texts at hand alone (no counts of a whole collection), so that it means the
same for any sources and the server can compute it too; `DEFINITIONS` goes into mixes.json word for word.
"""

import collections, math, re

import model as M

NUMBER_WORDS = "two three four five six seven eight nine ten eleven twelve hundred thousand million billion half third dozen once twice".split()
MONTHS = "january february march april may june july august september october november december".split()
NEGATIONS = "not no never none neither nor without cannot nobody nothing".split()
KINDS = [("date", r"\bwhen\b|\b(what|which) (year|date|century|decade|month|day)\b"),
         ("number", r"\bhow (many|much|long|old|tall|far|large|big|high|fast|often|deep|heavy)\b|\b(what|which) (percent|percentage|number|amount|age|size)\b"),
         ("person", r"\bwho(m|se)?\b"), ("place", r"\bwhere\b|\b(what|which) (city|country|state|place|location|county|continent)\b")]
SENTENCE = ["evidence", "span", "mass", "rank", "answerable", "overlap", "before", "after", "cosine", "similarity", "passage_overlap", "mismatch", "place"]
CONFIDENCE = ["score", "lead", "evidence", "span", "rank", "answerable", "overlap", "cosine", "similarity", "mismatch"]
CLAIM = ["supported", "uncontradicted", "worst_mark", "mean_mark", "overlap", "numbers", "names", "negation"]
SPAN = ["score", "repeats", "fits", "words", "bare"]
DEFINITIONS = {
    "words": "maximal runs of the letters a-z and digits in the lower-cased text; stems = words that are no stop word, by the stem rule of the encoders' files",
    "candidates": "all sentences of the retrieved passages (the first three); weight(w) = ln(1 + (N - n + 0.5) / (n + 0.5)), N candidates, n of them hold the stem w",
    "evidence": "mean of the evidence logits of the sentence's tokens",
    "span": "largest start + end logit of a span of at most 20 tokens inside the sentence",
    "mass": "logsumexp of the start logits of the sentence's tokens + the same of the end logits",
    "rank": "rank head of the passage", "answerable": "answerable head of the passage",
    "overlap": "sum of the weights of the question's stems that the sentence holds / sum over all the question's stems (0 if there is none)",
    "before": "overlap of the sentence before it in the passage, 0 if none", "after": "overlap of the sentence after it in the passage, 0 if none",
    "cosine": "all-MiniLM-L6-v2, question against sentence", "passage_overlap": "like overlap, for all stems of the passage",
    "mismatch": "1 if the question's kind asks for something the sentence lacks, else 0. The first of `kinds` whose pattern is found in the lower-cased question is its kind. "
                "date: a digit run that the question lacks, or the letters century or centuries, or a month's name that the question lacks; number: a digit run or number word that the question lacks; "
                "person, place: a word with a capital, not the sentence's first word, that the lower-cased question lacks",
    "place": "0, 1, 2: the passage's place in the retrieved order",
    "score": "the sentence mix, sum of weight x feature", "lead": "score minus the best score of another candidate, 5 if there is none",
    "claim: supported": "verdict logits: supported - ln(exp(contradicted) + exp(not enough))", "claim: uncontradicted": "supported - contradicted",
    "claim: worst_mark, mean_mark": "largest and mean unsupported logit of the claim's tokens, stop words and marks left out (types as in the files: tokens whose word has a stem)",
    "claim: overlap": "share of the claim's distinct stems that the evidence holds", "claim: numbers": "1 if a digit run of the claim (commas left out) is missing in the evidence, else 0",
    "claim: names": "share of the claim's capitalised words, the first word left out, that are missing in the lower-cased evidence's words (0 if there is none)",
    "claim: negation": "1 if exactly one of claim and evidence's best sentence (largest overlap) holds a word of `negations` or the letters n't, else 0",
    "span: score": "start + end logit", "span: repeats": "share of the span's stems that the question holds (0 if there is none)",
    "span: fits": "1 if the question's kind is date, number, person or place and the span alone satisfies the rule of mismatch (its first word counts too), else 0",
    "span: words": "ln of the number of words in the span", "span: bare": "1 if the span begins or ends with a stop word other than the, a, an, else 0",
}


def words(text):
    return re.findall(r"[a-z0-9]+", text.lower())


def stems(text):
    return [M.stem(w) for w in words(text) if w not in M.STOP]


def kind_of(question):
    low = question.lower()
    return next((kind for kind, pattern in KINDS if re.search(pattern, low)), "other")


def holds_kind(kind, text, question, first=1):
    """Whether the text has something of the kind asked for that the question does not have itself."""
    asked, low = set(words(question)), words(text)
    digits = [d for d in re.findall(r"\d+", text) if d not in question]
    if kind == "date":
        return bool(digits) or "century" in low or "centuries" in low or any(w in MONTHS and w not in asked for w in low)
    if kind == "number":
        return bool(digits) or any(w in NUMBER_WORDS and w not in asked for w in low)
    if kind in ("person", "place"):
        return any(w[0].isupper() and w.lower() not in asked for w in re.findall(r"[A-Za-z0-9]+", text)[first:])
    return True


def lexical(question, passages):
    """For each passage, given as a list of sentences, for each sentence: overlap, before, after, passage_overlap, mismatch; and the stems' weight."""
    held = [[set(stems(s)) for s in p] for p in passages]
    count = collections.Counter(w for p in held for s in p for w in s)
    n = sum(map(len, held))
    weight = lambda ws: sum(math.log(1 + (n - count[w] + 0.5) / (count[w] + 0.5)) for w in ws)
    asked = set(stems(question))
    total, kind, out = weight(asked) or 1.0, kind_of(question), []
    for p, sets in zip(passages, held):
        mine = [weight(asked & s) / total for s in sets]
        whole = weight(asked & set().union(*sets)) / total
        out.append([[o, mine[k - 1] if k else 0.0, mine[k + 1] if k + 1 < len(mine) else 0.0, whole, float(not holds_kind(kind, s, question))] for k, (o, s) in enumerate(zip(mine, p))])
    return out, weight


def similarities(question, candidates, weights):
    """Late interaction of the question's token states with those of each candidate sentence."""
    total = weights.sum() or 1.0
    return [float(((question @ c.T).max(1) * weights).sum() / total) for c in candidates]


def span_features(question, score, text):
    asked, mine, kind, ws = set(stems(question)), stems(text), kind_of(question), words(text)
    edge = lambda w: w in M.STOP and w not in ("the", "a", "an")
    return [score, sum(w in asked for w in mine) / max(1, len(mine)), float(kind != "other" and holds_kind(kind, text, question, 0)),
            math.log(max(1, len(ws))), float(bool(ws) and (edge(ws[0]) or edge(ws[-1])))]


def claim_lexical(claim, sentences):
    """overlap, numbers, names, negation."""
    evidence = " ".join(sentences)
    mine, theirs, plain = set(stems(claim)), set(stems(evidence)), set(words(evidence))
    digits = lambda t: set(re.findall(r"\d+", re.sub(r"(?<=\d),(?=\d)", "", t)))
    names = [w.lower() for w in re.findall(r"[A-Za-z0-9]+", claim)[1:] if w[0].isupper()]
    nearest = max(sentences, key=lambda s: len(mine & set(stems(s))), default="")
    denies = lambda t: any(w in NEGATIONS for w in words(t)) or "n't" in t or "n’t" in t
    return [len(mine & theirs) / max(1, len(mine)), float(bool(digits(claim) - digits(evidence))),
            sum(w not in plain for w in names) / max(1, len(names)), float(denies(claim) != denies(nearest))]
