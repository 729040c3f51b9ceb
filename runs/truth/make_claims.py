"""Makes claims with evidence and a verdict, and marks the claim's words that the evidence does not bear out.

Supported (0): summary sentences against the body text that says the same, right answers of review questions, glossary
definitions, and body sentences made shorter or reworded. Contradicted (1): the same claims after one corruption
(number, date, name, negation, antonym, quantifier, swapped sides, wrong choice). Not enough (2): the evidence sentence is
taken away and its neighbours or the best BM25 sentences stay, or a detail from elsewhere is added. WiCE's training claims
come with marks made by people. Often the evidence is corrupted and not the claim, so that neither a claim's wording nor
overlap alone tells. StrategyQA's facts are short sentences of people and are treated like body sentences.

    python make_claims.py OUT_FOLDER [how many body sentences] [how many times, each time otherwise]
"""

import pathlib, random, re, sys

import compounds, parse, texts
from bm25 import Bm25
from make_questions import SYNONYMS, content, is_person, joined, window, write
from parse import CLOSED, DETERMINERS, MODALS, PREPOSITIONS, PRONOUNS

OPPOSITES = {}
for pair in ("increase/decrease increases/decreases increased/decreased increasing/decreasing more/less most/least higher/lower highest/lowest "
             "larger/smaller largest/smallest large/small high/low before/after first/last early/late earlier/later positive/negative "
             "inside/outside internal/external above/below upper/lower north/south east/west northern/southern eastern/western "
             "always/never all/none many/few male/female men/women man/woman father/mother son/daughter brother/sister begin/end began/ended "
             "begins/ends start/stop started/stopped win/lose won/lost gain/lose gained/lost strong/weak stronger/weaker fast/slow faster/slower "
             "rich/poor old/young older/younger long/short longer/shorter hot/cold warm/cool hard/soft simple/complex active/passive "
             "direct/indirect public/private rural/urban majority/minority maximum/minimum accept/reject accepted/rejected support/oppose "
             "supported/opposed allow/prevent allowed/prevented allows/prevents common/rare wide/narrow deep/shallow "
             "enter/leave entered/left push/pull rise/fall rose/fell success/failure successful/unsuccessful possible/impossible "
             "known/unknown similar/different same/different left/right front/back major/minor heavy/light thick/thin open/closed "
             "alive/dead birth/death born/died peace/war victory/defeat friend/enemy good/bad better/worse best/worst easy/difficult "
             "rarely/often usually/rarely mostly/hardly approved/denied expand/shrink expanded/shrank legal/illegal husband/wife king/queen "
             "American/British French/German English/Spanish liberal/conservative democratic/republican song/novel film/book actor/singer "
             "city/village river/mountain company/university album/film president/senator physicist/painter").split():
    a, b = pair.split("/")
    OPPOSITES.setdefault(a, b)
    OPPOSITES.setdefault(b, a)
NUMBERS = "two three four five six seven eight nine ten twelve twenty thirty fifty hundred".split()


def shorter(words, rng, sentence):
    """A sentence with a side clause, a leading phrase or brackets left out, still saying what it said; or None."""
    s = re.sub(r"\s*\([^)]*\)|\s*—[^—]*—", "", sentence)
    s = re.sub(r"^(?:However|Thus|Therefore|Also|Furthermore|Moreover|For example|In fact|In addition|Today|Finally|Similarly|As a result),\s*", "", s)
    r = rng.random()
    if r < 0.4:
        m = re.match(r"^(.{25,}?),(?: (?:and|but|while|which|who|where|although|whereas|including|such as|with|because|as)\b| \w+ing\b).*\.$", s)
        if m:
            s = m[1] + "."
    elif r < 0.6:
        m = re.match(r"^(.{12,60}?), (?:which|who|a|an|the|also called|or) [^,]{5,60}, (.*)$", s)
        if m:
            s = f"{m[1]} {m[2]}"
    elif r < 0.8:
        m = re.match(r"^(?:In|At|By|During|After|On|For|With|From|Since|Although|While|When|As)\b[^,]{3,60}, (\w.*)$", s)
        if m and not m[1].split()[0].lower() in PRONOUNS:
            s = m[1]
    else:
        m = re.match(r"^((?:In|At|By|During|After|On|Since) [^,]{3,40}), (\w[^,;]*)\.$", s)
        if m:
            t = parse.tokens(m[2])
            s = f"{m[2]} {m[1][0].lower()}{m[1][1:]}."
    s = s[:1].upper() + s[1:]
    return s if 5 <= len(s.split()) <= 32 else None


def reworded(rng, sentence, chance=0.5):
    out = []
    for w in sentence.split(" "):
        core = w.strip(",.;")
        if core in SYNONYMS and core not in ("back", "like", "set", "head", "job", "so", "area", "part", "end", "state", "show") and rng.random() < chance:
            w = w.replace(core, rng.choice(SYNONYMS[core]))
        out.append(w)
    return " ".join(out)


def passive(words, sentence):
    """`A made B.` as `B was made by A.`, for short plain sentences; or None."""
    toks = parse.tokens(sentence)
    found = parse.clause(words, toks)
    if not found or found[2] != "ed" or toks[0].low in PRONOUNS:
        return None
    v, base, _ = found
    j = parse.np_at(words, toks, v + 1)
    if j == v + 1 or j < len(toks) and toks[j].low in ("of", "and", "or", ",", "to", "that") or toks[v + 1].low in PREPOSITIONS:
        return None
    part = parse.IRREGULAR[base][1] if base in parse.IRREGULAR else parse.past(base)
    thing, rest = joined(toks[v + 1:j], sentence), joined(toks[j:], sentence).rstrip(".")
    subject = joined(toks[:v], sentence)
    if not words.is_name(toks[0].low):
        subject = subject[0].lower() + subject[1:]
    were = "were" if toks[j - 1].low.endswith("s") else "was"
    return f"{thing[0].upper()}{thing[1:]} {were} {part} by {subject}{' ' + rest if rest else ''}."


class Corruptions:
    def __init__(self, words, rng):
        self.words, self.rng = words, rng

    def replace(self, text, a, b, new):
        if text[a:b][0].isupper() and a == 0:
            new = new[0].upper() + new[1:]
        return text[:a] + new + text[b:], [[a, a + len(new)]]

    def number(self, text, evidence):
        found = [m for m in re.finditer(r"(?<![\w.,])\d+(?:,\d{3})*(?:\.\d+)?(?!\w)", text)] + [m for m in re.finditer(r"\b(?:" + "|".join(NUMBERS) + r")\b", text)]
        if not found:
            return None
        m = self.rng.choice(found)
        old = m.group()
        if old in NUMBERS:
            new = self.rng.choice([n for n in NUMBERS if n != old and n not in evidence])
        elif re.fullmatch(r"1\d{3}|20\d\d", old):
            new = str(int(old) + self.rng.choice([-60, -20, -10, -5, -3, -2, -1, 1, 2, 3, 4, 7, 10, 20, 50]))
        elif "." in old:
            new = f"{float(old.replace(',', '')) * self.rng.choice([0.1, 0.5, 2, 3, 10]):.1f}"
        else:
            n = int(old.replace(",", ""))
            new = self.rng.choice([n * 2, n * 10, n + 1, max(1, n // 2), n + 5, n + 12])
            new = f"{new:,}" if "," in old else str(new)
        others = re.findall(r"(?<![\w.,])\d+(?:,\d{3})*(?:\.\d+)?(?!\w)", evidence)
        same = [o for o in others if o != old and len(o) == len(old) and o not in text]
        if same and self.rng.random() < 0.4:
            new = self.rng.choice(same)
        return self.replace(text, *m.span(), new) if new != old else None

    def phrases(self, text):
        toks = parse.tokens(text)
        out = []
        for i, j, kind in parse.answers(self.words, toks):
            if kind in ("name", "thing"):
                while i < j - 1 and toks[i].low in DETERMINERS:
                    i += 1
                if toks[i].low in CLOSED:
                    continue
                piece = text[toks[i].start:toks[j - 1].end]
                person = kind == "name" and is_person(self.words, toks, i, j)
                out.append((toks[i].start, toks[j - 1].end, "person" if person else kind, piece))
        return out

    def name(self, text, evidence, pool=""):
        mine = [p for p in self.phrases(text) if p[2] != "thing"]
        if not mine:
            return None
        a, b, kind, old = self.rng.choice(mine)
        others = [p[3] for s, e in texts.sentences(evidence + " " + pool) for p in self.phrases((evidence + " " + pool)[s:e])
                  if p[2] == kind and p[3] not in text and old not in p[3] and len(p[3].split()) < 5]
        return self.replace(text, a, b, self.rng.choice(others)) if others else None

    def thing(self, text, evidence, pool=""):
        mine = [p for p in self.phrases(text) if p[2] == "thing" and len(p[3]) > 3]
        if not mine:
            return None
        a, b, kind, old = self.rng.choice(mine)
        others = [p[3] for s, e in texts.sentences(evidence + " " + pool) for p in self.phrases((evidence + " " + pool)[s:e])
                  if p[2] == "thing" and p[3] not in text and old not in p[3] and p[3].endswith("s") == old.endswith("s") and p[3].islower()]
        return self.replace(text, a, b, self.rng.choice(others)) if others and old.islower() else None

    def negation(self, text, evidence):
        m = re.search(r"\b(?:did|does|do|is|are|was|were|can|could|will|would|has|have|had|should|may|must) (not )\b|\b(never )|\b(cannot)\b", text)
        if m:
            if m[3]:
                return self.replace(text, *m.span(3), "can")
            cut = m.span(1) if m[1] else m.span(2)
            at = max(0, text.rfind(" ", 0, cut[0] - 1) + 1)
            return text[:cut[0]] + text[cut[1]:], [[at, cut[0] + len(re.match(r"\w*", text[cut[1]:]).group())]]
        toks = parse.tokens(text)
        found = parse.clause(self.words, toks)
        if not found:
            return None
        v, base, form = found
        if form == "aux":
            return self.replace(text, toks[v].start, toks[v].end, toks[v].text + self.rng.choice([" not", " not", " never"]))
        if self.rng.random() < 0.3:
            return self.replace(text, toks[v].start, toks[v].end, "never " + toks[v].text)
        return self.replace(text, toks[v].start, toks[v].end, {"ed": "did not ", "s": "does not ", "base": "do not "}[form] + base)

    def opposite(self, text, evidence):
        found = [m for m in re.finditer(r"\w+", text) if m.group() in OPPOSITES]
        if not found:
            return None
        m = self.rng.choice(found)
        return self.replace(text, *m.span(), OPPOSITES[m.group()])

    def swap(self, text, evidence):
        """Subject and object change places; only where a verb of action or comparison stands between them."""
        toks = parse.tokens(text)
        found = parse.clause(self.words, toks)
        if not found or found[0] > 6 or found[2] == "aux" and toks[found[0]].low in ("is", "are"):
            return None
        v = found[0]
        tail = [(i, j) for i, j, k in parse.answers(self.words, toks) if i > v and k in ("name", "thing")]
        if not tail:
            return None
        i, j = tail[0]
        first, second = joined(toks[:v], text), joined(toks[i:j], text)
        middle, rest = text[toks[v].start:toks[i].start], text[toks[j - 1].end:]
        if not self.words.is_name(toks[0].low):
            first = first[0].lower() + first[1:]
        new = second[0].upper() + second[1:] + " " + middle + first + rest
        return new, [[0, len(second)], [len(second) + 1 + len(middle), len(second) + 1 + len(middle) + len(first)]]

    def any(self, text, evidence, pool=""):
        kinds = [self.number, self.number, self.name, self.name, self.name, self.thing, self.thing, self.negation, self.opposite, self.opposite, self.swap]
        self.rng.shuffle(kinds)
        for make in kinds:
            made = make(text, evidence, pool) if make in (self.name, self.thing) else make(text, evidence)
            if made and made[0] != text:
                return made
        return None


class Claims:
    def __init__(self, pages, rng):
        self.rng, self.words = rng, parse.default_words()
        self.pages = [p for p in pages if p["body"]]
        self.flat = [(p[s:e], p) for page in self.pages for p in page["body"] for s, e in texts.sentences(p) if 6 <= len(p[s:e].split()) <= 40]
        self.index = Bm25([s for s, _ in self.flat], 0.02)
        self.corrupt = Corruptions(self.words, rng)
        self.out = []

    def emit(self, claim, evidence, y, bad, src, **more):
        if 3 < len(claim.split()) < 60 and len(evidence.split()) > 4:
            self.out.append({"c": claim, "e": evidence, "y": y, "bad": bad, "src": src, **more})

    def related(self, claim, avoid, n=2):
        """The best BM25 sentences that are not `avoid` and do not hold all of the claim's words."""
        wanted = content(claim)
        found = [self.flat[k][0] for k in self.index.top(claim, 8)]
        found = [f for f in found if f not in avoid and len(wanted & content(f)) < 0.7 * len(wanted)]
        return " ".join(found[:n])

    def trio(self, claim, evidence, sentence, pool, src):
        """Supported, contradicted and not enough versions of one claim: one or two of the three."""
        r = self.rng.random()
        if r < 0.62:
            self.emit(claim, evidence, 0, [], src)
        if r > 0.35:
            made = self.corrupt.any(claim, evidence, pool)
            if made and sentence in evidence and self.rng.random() < 0.4:
                self.turned(claim, evidence.replace(sentence, made[0]), made[0], src)
            elif made:
                self.emit(made[0], evidence, 1, made[1], src)
        if self.rng.random() < 0.3:
            without = " ".join(evidence[s:e] for s, e in texts.sentences(evidence) if evidence[s:e] != sentence)
            other = without if len(without.split()) > 12 and self.rng.random() < 0.5 else self.related(claim, {sentence, claim})
            if len(content(claim) & content(other)) < 0.75 * len(content(claim)):
                self.emit(claim, other, 2, [[0, len(claim)]], src, marks=False)
        elif self.rng.random() < 0.2:  # an added detail
            detail = re.search(r" (?:in|by|because|during|after|with|near|since|at) [\w ,]{8,50}$", self.rng.choice(self.flat)[0].rstrip("."))
            near = [m for m in (re.search(r" (?:in|by|because|during|after|with|since|at) [\w ]{8,50}$", pool[s:e].rstrip(".")) for s, e in texts.sentences(pool)) if m]
            pick = self.rng.choice(near) if near else detail
            if pick and pick.group() not in evidence:
                base = claim.rstrip(".")
                self.emit(base + pick.group() + ".", evidence, 2, [[len(base) + 1, len(base) + len(pick.group())]], src)

    def turned(self, claim, evidence, changed, src):
        """The claim as it was against evidence that says otherwise, so that a claim's own wording tells nothing."""
        a = next((k for k, (x, y) in enumerate(zip(claim, changed)) if x != y), min(len(claim), len(changed)))
        b = next((k for k, (x, y) in enumerate(zip(claim[::-1], changed[::-1])) if x != y), 0)
        a, b = claim.rfind(" ", 0, a + 1) + 1, len(claim) - b
        b = b if b >= len(claim) or not claim[b].isalnum() else re.compile(r"\w*").match(claim, b).end()
        self.emit(claim, evidence, 1, [[a, b]] if b > a else [], src, marks=b > a)

    def facts(self):
        """StrategyQA's facts: short sentences of people on people, places and things, like those that get checked."""
        rows = texts.records("strategyqa/train")
        for r in rows:
            facts = [f.strip() for f in r["facts"] if 5 <= len(f.split()) <= 30]
            for fact in facts:
                claim = (self.rng.random() < 0.5 and shorter(self.words, self.rng, fact)) or fact
                claim = reworded(self.rng, (self.rng.random() < 0.3 and passive(self.words, claim)) or claim, 0.3)
                near = [f for f in facts if f != fact]
                parts = near[:self.rng.randint(0, 2)] + [fact]
                self.rng.shuffle(parts)
                pool = " ".join(near + [f for f in self.rng.choice(rows)["facts"]] + [f for f in self.rng.choice(rows)["facts"]])
                self.trio(claim, " ".join(parts), fact, pool, "facts")

    def evidence_for(self, paragraph, sentence):
        at = paragraph.find(sentence)
        cut = window(self.rng, paragraph, at, at + len(sentence), self.rng.choice([0, 0, 30, 45, 70]))
        return cut[0] if cut else sentence

    def summaries(self):
        for page in self.pages:
            body = [(content(p[s:e]), p[s:e], p) for p in page["body"] for s, e in texts.sentences(p)]
            pool = " ".join(page["body"])[:3000]
            for block in page["summary"]:
                for s, e in texts.sentences(block):
                    claim = block[s:e]
                    wanted = content(claim)
                    if not 5 <= len(claim.split()) <= 35 or claim.split()[0].lower() in PRONOUNS or not body:
                        continue
                    best = max(body, key=lambda b: len(b[0] & wanted))
                    evidence = self.evidence_for(best[2], best[1])
                    share = len(content(evidence) & wanted) / max(1, len(wanted))
                    if share >= 0.55 and best[1] != claim:
                        self.trio(claim, evidence, best[1], pool, "summary")

    def choices(self):
        for page in self.pages:
            for question, right, wrong in page["choices"]:
                if "____" not in question or re.search(r"\b(all|none|both) of|NOT|except", right + question, re.I) or not page["body"]:
                    continue
                fill = lambda option: (re.sub(r"\ba\(n\)", "a", question).replace("____", option.rstrip(".")).rstrip(".") + ".", question.find("____"))
                claim, at = fill(right)
                wanted = content(claim)
                best = max(((len(content(p[s:e]) & wanted), p, p[s:e]) for p in page["body"] for s, e in texts.sentences(p)), default=None)
                if best and best[0] >= 0.5 * len(wanted) and (content(right) & content(best[2])):
                    evidence = self.evidence_for(best[1], best[2])
                    claim = claim[0].upper() + claim[1:]
                    self.emit(claim, evidence, 0, [], "choices")
                    if wrong:
                        w = self.rng.choice(wrong)
                        text, at = fill(w)
                        self.emit(text[0].upper() + text[1:], evidence, 1, [[at, at + len(w.rstrip('.'))]], "choices")

    def glossary(self):
        for page in self.pages:
            terms = [t for t, _ in page["glossary"]]
            for term, definition in page["glossary"]:
                definition = definition.split(";")[0].strip(". ^")
                if self.rng.random() < 0.6 or not 4 < len(definition.split()) < 25 or definition.startswith(("see ", "(")):
                    continue
                wanted = content(definition + " " + term)
                best = max(((len(content(p[s:e]) & wanted), p, p[s:e]) for p in page["body"] for s, e in texts.sentences(p) if term.lower() in p[s:e].lower()), default=None)
                if not best or best[0] < 0.55 * len(wanted):
                    continue
                term = re.sub(r"\s*\(.*\)", "", term)
                claim = f"{term[0].upper()}{term[1:]} is {definition}." if self.rng.random() < 0.7 else f"{definition[0].upper()}{definition[1:]} is called {term}."
                evidence = self.evidence_for(best[1], best[2])
                if self.rng.random() < 0.5:
                    self.emit(claim, evidence, 0, [], "glossary")
                elif len(terms) > 1 and self.rng.random() < 0.5:
                    other = self.rng.choice([t for t in terms if t != term])
                    self.emit(f"{other[0].upper()}{other[1:]} is {definition}.", evidence, 1, [[0, len(other)]], "glossary")
                else:
                    made = self.corrupt.any(claim, evidence)
                    if made:
                        self.emit(made[0], evidence, 1, made[1], "glossary")

    def sentences(self, count):
        places = [(page, p, p[s:e]) for page in self.pages for p in page["body"] for s, e in texts.sentences(p)]
        history = [x for x in places if x[0]["book"] in ("us-history", "astronomy", "sociology")]
        picked = self.rng.sample(history, min(len(history), count // 2)) + self.rng.sample(places, min(len(places), count // 2))
        for page, p, sentence in picked:
            if not 7 <= len(sentence.split()) <= 40 or sentence.split()[0].lower() in PRONOUNS or sentence.endswith("?"):
                continue
            claim = shorter(self.words, self.rng, sentence)
            if self.rng.random() < 0.4:
                claim = passive(self.words, claim or sentence) or claim
            if not claim:
                continue
            claim = reworded(self.rng, claim)
            self.trio(claim, self.evidence_for(p, sentence), sentence, p, "sentences")

    def wice(self, name="non_supported_tokens_train", times=3):
        """Human labels and marks; the evidence is the supporting sentences, or the nearest ones, among some others."""
        for r in texts.records(f"wice/{name}"):
            evidence = [x for x in r["evidence"] if len(x.split()) > 3]
            order = sorted(range(len(r["evidence"])), key=lambda k: -len(content(r["evidence"][k]) & content(r["claim"])))
            tokens, at, bad = r["claim_tokens"], 0, []
            for token, marked in zip(tokens, r["non_supported_spans"]):
                k = r["claim"].find(token, at)
                if k >= 0:
                    at = k + len(token)
                    if marked:
                        bad.append([k, at])
            for _ in range(times):
                gold = self.rng.choice(r["supporting_sentences"]) if r["supporting_sentences"] and r["supporting_sentences"][0] else []
                chosen = sorted(set(gold[:4]) | set(order[:self.rng.choice([1, 2, 3])]))
                self.emit(r["claim"], " ".join(r["evidence"][k] for k in chosen), 0 if r["label"] == "supported" else 2, bad, "wice", w=1.5, marks=len(bad) > 0 or r["label"] == "supported")


def main(folder, count, times):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    maker = Claims(texts.train_pages(), random.Random(20))
    web = lambda: compounds.web(maker, "non_supported_tokens_train", shorter, reworded)
    both = lambda: compounds.compounds(maker, count, shorter)
    for _ in range(times):
        for step in (maker.wice, web, both, maker.facts, maker.choices, maker.summaries, maker.glossary, lambda: maker.sentences(count)):
            before = len(maker.out)
            step()
            print(getattr(step, "__name__"), len(maker.out) - before, flush=True)
    maker.out = list({(r["c"], r["e"]): r for r in maker.out}.values())
    maker.rng.shuffle(maker.out)
    write(folder / "claims.jsonl.gz", maker.out)
    dev = Claims(texts.held_out_pages(), random.Random(21))
    for step in (dev.choices, dev.summaries, dev.glossary, lambda: dev.sentences(250)):
        step()
    dev.rng.shuffle(dev.out)
    write(folder / "claims_dev.jsonl.gz", dev.out)
    print("dev", len(dev.out), "labels", [sum(r["y"] == y for r in maker.out) for y in range(3)])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 6000, int(sys.argv[3]) if len(sys.argv) > 3 else 1)
