"""Questions from any sentence, however long: the words around an answer, put into the order of a question.

`make_questions.ask` needs a sentence that parses whole, and those are short and alike. Here only the clause around the
answer is used. Where a verb with its subject stands before the answer, it is inverted ("did Hooke coin"); where the answer
opens the clause, the wh-word takes its place; otherwise the part after the answer comes before the part in front of it,
which reads ill but teaches the same (Fabbri et al. 2020, arXiv:2004.11892). `cross` looks the answer up in another sentence
of the page that shares words with the question, so that question and passage differ as they do when people ask.
"""

import re

import parse, texts
from make_questions import NOISE, PARTICIPLES, content, is_person, joined, lowered, reworded
from parse import CLOSED, DETERMINERS, PREPOSITIONS, PRONOUNS

WEIGHT = {"thing": 1.0, "name": 3.0, "date": 4.0, "number": 4.0, "list": 0.7, "reason": 3.0, "purpose": 1.0}
EDGE = set("and or but nor so yet which who that whose whom as than while because although though where when if however".split())


def clause_bounds(toks, i, j, rng, most=13):
    """The clause around toks[i:j]: up to a strong mark, a far comma, or `most` words on each side."""
    a, b = i, j
    while a > 0 and i - a < most:
        t = toks[a - 1]
        if t.text in ";:—()\"“”" or t.text == "," and (i - a >= 5 or a > 1 and toks[a].low in EDGE) or t.low in ("which", "who", "but", "while", "although") and i - a >= 3:
            break
        a -= 1
    while b < len(toks) and b - j < most:
        t = toks[b]
        if t.text in ";:—().!?\"“”" or t.text == "," and (b - j >= 4 or rng.random() < 0.6) or t.low in ("which", "but", "while", "although", "because") and b - j >= 3:
            break
        b += 1
    while a < i and (toks[a].low in EDGE | NOISE or toks[a].text == ","):
        a += 1
    while b > j and (toks[b - 1].low in EDGE | PREPOSITIONS | DETERMINERS or not toks[b - 1].text[0].isalnum()):
        b -= 1
    return a, b


def wh_words(words, toks, i, j, kind, rng):
    """(wh-phrase, answer end, whether the preposition before the answer goes) for one answer."""
    before, last = toks[i - 1].low if i else "", toks[j - 1]
    numeral = lambda t: t.text[0].isdigit() or t.low in parse.NUMBER_WORDS
    if kind == "date":
        bare = re.fullmatch(r"\d{4}", toks[j - 1].text) and j - i == 1
        return rng.choice(["When", "When", "When"] + (["In what year", "What year", "In which year"] if bare else [])), j, before in PREPOSITIONS
    if kind == "number":
        k = i
        while k < j and numeral(toks[k]):
            k += 1
        noun = " ".join(t.text for t in toks[k:j])
        if i and toks[i - 1].text in "$£€" or toks[i].text.endswith("%") or noun in ("percent", "%"):
            return rng.choice(["How much", "What percentage" if noun in ("percent", "%") or "%" in toks[i].text else "How much"]), j, False
        if k < j and noun.islower() and k > i:
            return f"How many {noun}", k, False
        return "How many", j, False
    if kind in ("reason", "purpose"):
        return "Why", j, True
    if kind == "name":
        if is_person(words, toks, i, j):
            return rng.choice(["Who", "Who", "Which person"]), j, False
        if before in ("in", "at", "from", "to", "near") and j - i <= 3 and toks[i].low not in DETERMINERS:
            return rng.choice(["Where", "Where", "What place", "Which country" if rng.random() < 0.3 else "What city"]), j, True
        if j - i > 1 and last.low in words.lower and words.lower[last.low] > 20 and rng.random() < 0.5:
            return f"{rng.choice(['What', 'Which'])} {last.low}", j, False
        return rng.choice(["What", "What", "Which", "Who"]), j, False
    if kind == "thing" and j - i >= 2 and last.text.islower() and rng.random() < 0.4:
        asked = rng.choice(["What kind of", "What type of", "Which", "What"])  # the first two ask for the words before the noun alone
        return f"{asked} {last.text}", j - (asked.endswith("of")), False
    return "What", j, False


def cloze(words, rng, sentence):
    """(question, answer start, answer end, type) for one answer of the sentence, or None."""
    toks = [t for t in parse.tokens(sentence) if t.text not in "\"“”"]
    if not 8 <= len(toks) <= 70:
        return None
    found = [x for x in parse.answers(words, toks) if usable(words, toks, *x)]
    if not found:
        return None
    i, j, kind = rng.choices(found, [WEIGHT[k] for *_, k in found])[0]
    a = i
    while a < j - 1 and toks[a].low in DETERMINERS and rng.random() < 0.8:
        a += 1
    wh, stop, drops = wh_words(words, toks, i, j, kind, rng)
    if stop <= a:
        return None
    left, right = clause_bounds(toks, i, j, rng)
    front, back = toks[left:i - (1 if drops and i > left else 0)], toks[j:right]
    if any(t.low in PRONOUNS - {"that", "this", "these", "those", "there", "which", "who"} for t in front[:1]):
        return None
    answer = content(sentence[toks[a].start:toks[stop - 1].end])
    if len(content(joined(front + back, sentence)) - answer) < 3:
        return None
    text = lambda ts: joined(ts, sentence).strip(" ,")
    verb = parse.clause(words, front + toks[i:j] + back) if len(front) > 1 else None
    if verb and verb[0] < len(front) and verb[0] <= 9:
        v, base, form = verb
        subject, rest = text(lowered(words, parse.tokens(text(front[:v])))), front[v + 1:]
        if form == "aux" and front[v].low in ("has", "have", "had") and not (v + 1 < len(front) and (words.past_base(front[v + 1].low) or front[v + 1].low in PARTICIPLES | {"been", "also", "not"})):
            base, form = "have", {"has": "s", "have": "base", "had": "ed"}[front[v].low]
        helper = front[v].text if form == "aux" else {"ed": "did", "s": "does", "base": "do"}[form]
        question = f"{wh} {helper} {subject} {'' if form == 'aux' else base} {text(rest)} {text(back)}"
    elif not front:
        question = f"{wh} {text(back)}" if wh not in ("When", "Where", "Why") else None
    elif rng.random() < 0.6:
        question = f"{wh} {text(back)}, {text(lowered(words, parse.tokens(text(front))))}" if back else None
    else:
        question = f"{text(front)} {wh[0].lower()}{wh[1:]} {text(back)}"
    if not question or len(question.split()) > 26 or re.search(r"\b(did|do|does) (are|is|was|were|had|has|have|of|been|the)\b(?! \w+ )|\(|\b(\w+) \3\b", question):
        return None
    question = re.sub(r"\s+", " ", question).strip(" ,.-") + "?"
    return reworded(rng, question[0].upper() + question[1:]), toks[a].start, toks[stop - 1].end, kind


def usable(words, toks, i, j, kind):
    """Whether the phrase can be an answer by itself: no lone adverb, participle, short word or bare quantifier."""
    while i < j - 1 and toks[i].low in DETERMINERS:
        i += 1
    last = toks[j - 1]
    if toks[i].low in CLOSED - {"to"} or last.low in CLOSED or any(t.text in "()" for t in toks[i:j]):
        return False
    if kind == "thing":
        if j - i == 1 and (len(last.text) < 4 or re.search(r"(ly|ed|ing|ful|ous|ible|able|ive|ical|ent|ant|less|ary|al|ic)$", last.low)):
            return False
        verb_like = last.low in words.base or toks[i].low in words.base and j - i > 1
        if verb_like and (toks[i - 1].low == "to" or toks[i - 1].low not in PREPOSITIONS | DETERMINERS) or toks[i].low in ("given", "such", "part", "this reason", "example", "fact"):
            return False
        follows = toks[j] if j < len(toks) else None  # the phrase has to end where its noun ends
        if follows and follows.text.islower() and follows.low not in CLOSED and not words.past_base(follows.low) and follows.low not in words.form:
            return False
        return last.text.isalpha() and j - i <= 5
    return j - i <= (14 if kind in ("reason", "purpose", "list") else 6)


def cross(words, rng, page, sentence):
    """A question on `sentence` with its answer in another sentence: (question, passage, start, end), or None."""
    made = cloze(words, rng, sentence)
    if not made:
        return None
    question, a, b, kind = made
    answer = sentence[a:b]
    if kind not in ("name", "date", "number", "thing") or kind == "thing" and len(answer.split()) < 2 or kind == "number" and len(answer) < 3:
        return None
    wanted, best = content(question) - content(answer), None
    pattern = re.compile(r"(?<![\w.,])" + re.escape(answer) + r"(?!\w)")
    for p in page["paragraphs"]:
        if answer not in p:
            continue
        cuts = texts.sentences(p)
        for n, (s, e) in enumerate(cuts):
            m = p[s:e] != sentence and pattern.search(p, s, e)
            if m:
                shared = len(content(p[s:e]) & wanted)
                if shared >= max(2, 0.4 * len(wanted)) and (not best or shared > best[0]):
                    best = shared, p, cuts, n, m.start() - s, m.end() - s
    if not best:
        return None
    _, p, cuts, n, start, end = best
    low, high = n, n  # neighbours come along, but never the sentence that the question was made from
    for _ in range(rng.randint(0, 3)):
        if rng.random() < 0.5 and low > 0 and p[slice(*cuts[low - 1])] != sentence:
            low -= 1
        elif high + 1 < len(cuts) and p[slice(*cuts[high + 1])] != sentence:
            high += 1
    lead = cuts[n][0] - cuts[low][0]
    return question, p[cuts[low][0]:cuts[high][1]], lead + start, lead + end
