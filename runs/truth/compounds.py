"""Claims of two parts, and claims on web pages: what WiCE is about, where most claims are borne out in part only.

A compound claim joins two sentences of one paragraph. Its evidence holds both (supported), holds one of them and other
sentences beside it (not enough, and the other part is marked), or one part was corrupted (contradicted). The evidence of
WiCE's training claims is web text and its labels are all "partially supported", so plain claims are made from its
sentences too: otherwise the look of a web page alone would tell the label. Those rows are not published.
"""

import re

import texts
from make_questions import content
from parse import PRONOUNS


def joined(rng, first, second):
    """(claim, start of its second part): "First, and second." or the two sentences as they are."""
    if rng.random() < 0.35 or not re.match(r"(The|A|An|In|This|These|They|He|She|It|Its|His|Her|Their|Some|Many|Most)\b", second):
        return f"{first} {second}", len(first) + 1
    head = first.rstrip(".") + rng.choice([", and ", ", while ", "; "])
    return head + second[0].lower() + second[1:], len(head)


def compound(maker, paragraph, shorten):
    """Emits one compound claim from a paragraph's sentences."""
    rng = maker.rng
    cuts = [paragraph[s:e] for s, e in texts.sentences(paragraph)]
    good = [k for k, s in enumerate(cuts) if 6 <= len(s.split()) <= 22 and s.endswith(".") and not s.endswith("..")]
    if len(good) < 2 or len(cuts) < 3:
        return
    a, b = sorted(rng.sample(good, 2))
    if b - a > 3:
        return
    first, second = (shorten(maker.words, rng, cuts[k]) if rng.random() < 0.5 else None for k in (a, b))
    first, second = first or cuts[a], second or cuts[b]
    if len(first.split()) + len(second.split()) > 40:
        return
    low, high = max(0, a - rng.randint(0, 1)), min(len(cuts), b + 1 + rng.randint(0, 1))
    whole, r = " ".join(cuts[low:high]), rng.random()
    if r < 0.45:
        maker.emit(joined(rng, first, second)[0], whole, 0, [], "compound")
    elif r < 0.8:  # one part is missing in the evidence
        missing = rng.choice([a, b])
        rest = [k for k in range(max(0, a - 2), min(len(cuts), b + 3)) if k != missing]
        evidence = " ".join(cuts[k] for k in rest)
        wanted = content(cuts[missing])
        if len(wanted & content(evidence)) > 0.7 * len(wanted):
            return
        claim, at = joined(rng, first, second)
        maker.emit(claim, evidence, 2, [[0, at]] if missing == a else [[at, len(claim)]], "compound")
    else:
        made = maker.corrupt.any(second, whole)
        if made:
            claim, at = joined(rng, first, made[0])
            maker.emit(claim, whole, 1, [[at + s, at + e] for s, e in made[1]], "compound")


def compounds(maker, count, shorten):
    places = [p for page in maker.pages if page["book"] not in ("physics", "statistics", "chemistry") for p in page["body"]]
    for paragraph in maker.rng.sample(places, min(count, len(places))):
        compound(maker, paragraph, shorten)


def web(maker, name, shorten, reword, times=5):
    """Plain claims from the sentences of WiCE's training evidence."""
    for r in texts.records(f"wice/{name}"):
        lines = r["evidence"]
        good = [k for k, s in enumerate(lines) if 8 <= len(s.split()) <= 32 and re.match(r"[A-Z].*[a-z]\.$", s) and "meta data" not in s]
        for k in maker.rng.sample(good, min(times, len(good))):
            around = lines[max(0, k - maker.rng.randint(0, 3)):k + 1 + maker.rng.randint(0, 3)]
            if maker.rng.random() < 0.4:
                around = [x for x in lines[:2] if "meta data" in x] + around
            pool = " ".join(lines[max(0, k - 15):k + 15])
            if maker.rng.random() < 0.3:
                compound(maker, " ".join(around), shorten)
            elif lines[k].split()[0].lower() not in PRONOUNS:
                claim = reword(maker.rng, shorten(maker.words, maker.rng, lines[k]) or lines[k], 0.4)
                maker.trio(claim, " ".join(around), lines[k], pool, "web")
