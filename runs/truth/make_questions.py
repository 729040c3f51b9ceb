"""Makes questions with answer spans, and passages that do not answer them, for the reader and the reranker.

Three kinds. Asked by people: FairytaleQA's training questions, the textbooks' review questions (the right choice is
looked for in the page's body), StrategyQA's sub-questions and MedQuAD's questions (these two for ranking only).
Asked across wordings: a question is made from a summary sentence or a glossary entry, and its answer is found in a body
sentence that says the same in other words. Made from a sentence itself by the rules of `ask` (subject, verb, rest;
wh-word by answer type; do-support), with words dropped, moved or replaced.

Every record has one passage that answers and one or two that do not: the best BM25 passage without the answer, or the
right passage without its answer sentence. Seed fixed; writes `questions.jsonl.gz` (and `questions_dev.jsonl.gz` from held out pages).

    python make_questions.py OUT_FOLDER [how many made sentences] [how many times, each time asked otherwise]
"""

import functools, gzip, json, pathlib, random, re, sys

import parse, texts
from bm25 import Bm25
from parse import CLOSED, DETERMINERS, PREPOSITIONS, PRONOUNS

# Written by hand for this script: a question seldom repeats the passage's words.
SYNONYMS = {}
for group in ("begin start|use utilize employ|make create produce|help assist aid|show demonstrate reveal|big large|build construct|"
              "buy purchase|end finish conclude|find discover|get obtain receive|give provide supply|grow increase|fall decrease decline|"
              "keep maintain retain|kill slay|call name term|important significant key|main primary chief principal|many numerous|"
              "often frequently|people individuals persons|quick fast rapid|say state claim|small little tiny|start initiate|"
              "stop halt cease|think believe|war conflict|way manner method|allow permit enable|cause lead|change alter modify|"
              "choose select pick|contain include|country nation|deadly fatal|defend protect|describe depict|develop form|"
              "different distinct|easy simple|fight battle|force compel|function role|group team|happen occur|hard difficult|"
              "idea concept notion|job task|join enter|kind type sort|law rule regulation|leader head|learn study|live reside|"
              "look appear seem|move travel|need require|new recent novel|old ancient|part portion component|place location|"
              "power strength|problem issue|reach attain|reason cause|result outcome effect|rich wealthy|rise climb|"
              "speak talk|strong powerful|support back|take capture seize|teach instruct|tell inform|total entire whole|"
              "understand comprehend|want desire|win gain|work labor|write author|wrong incorrect|argue contend|major big|"
              "area region|near close|movie film|car automobile|job occupation|city town|doctor physician|died perished|"
              "child kid|house home|money funds|amount quantity|usually typically|about approximately|because since").split("|"):
    words_of = group.split()
    for w in words_of:
        SYNONYMS.setdefault(w, []).extend(x for x in words_of if x != w)

NOT_PERSON = set("university college act war company court party church river ocean sea states kingdom empire union treaty bill "
                 "amendment congress senate house republic association society army museum institute school street city county "
                 "island islands north south east west america american age era movement revolution battle plan committee "
                 "constitution law theory commission department bank board league agency".split())
PLACES_BEFORE = set("in at from near to throughout across".split())
PARTICIPLES = {q for _, q in parse.IRREGULAR.values()}
NOISE = set("however thus therefore also furthermore moreover instead then similarly finally today additionally consequently "
            "indeed hence likewise nevertheless meanwhile".split())


def joined(toks, text):
    """The tokens' text with the original spacing where they stand side by side, one space elsewhere."""
    out, last = "", None
    for t in toks:
        if last is not None and not (t.start == last.end):
            out += " "
        out, last = out + t.text, t
    return re.sub(r"\s+([,.;:?!])", r"\1", out)


def lowered(words, toks):
    """Text pieces of a subject that no longer opens the sentence."""
    if toks and toks[0].text[0].isupper() and not (toks[0].text != "A" and words.is_name(toks[0].low)) and len(toks[0].text) != 1 or toks and toks[0].text == "A":
        toks[0].text = toks[0].text[0].lower() + toks[0].text[1:]
    return toks


def plain_subject(words, toks, v):
    """Whether toks[:v] is noun phrases joined by prepositions, "and" or "or", and nothing else."""
    i = 0
    while True:
        k = parse.np_at(words, toks, i)
        if k == i or k > v:
            return False
        if k == v:
            return True
        if toks[k].low not in PREPOSITIONS and toks[k].low not in ("and", "or"):
            return False
        i = k + 1


def simple_place(words, toks, v, i, j, kind):
    """Whether toks[i:j] is subject, object, complement or the object of a preposition right there: other places make bad questions."""
    before, after = toks[i - 1].low if i else "", toks[j].low if j < len(toks) else "."
    if kind != "list" and (before in ("and", "or", ",") and i > 0 or after in ("and", "or")):
        return False
    if i <= v or kind in ("reason", "purpose", "date"):
        return True
    between = toks[v + 1:i]
    if len(between) > 9 or any(t.low in parse.JOINERS - {"not", "also", "only", "often", "usually"} or t.text in ",:;—(" for t in between):
        return False
    if any(t.low in parse.AUX for t in between[1:]) or any(words.past_base(t.low) for t in between[1:]):
        return False
    if toks[v].low in parse.BE and between[:-1] and not (between[0].low.endswith("ed") or between[0].low in PARTICIPLES):
        return False
    return True


def is_person(words, toks, i, j):
    caps = [t for t in toks[i:j] if t.text[0].isupper()]
    if any(t.low in NOT_PERSON for t in toks[i:j]) or toks[i].low in DETERMINERS or any(t.text.isupper() and len(t.text) > 1 for t in caps):
        return False
    return len(caps) >= 2 and toks[j - 1].text[0].isupper()


def ask(words, rng, sentence):
    """Questions on one sentence as (question, answer start, answer end, type)."""
    toks = parse.tokens(sentence)
    while toks and (toks[0].low in NOISE or toks[0].text == ","):
        toks = toks[1:]
    toks = [t for t in toks if t.text not in "\"“”()"]
    lead = []
    if toks and toks[0].low in PREPOSITIONS:
        comma = next((k for k, t in enumerate(toks[:14]) if t.text == ","), None)
        if comma is None:
            return []
        lead, toks = toks[:comma], toks[comma + 1:]
    if len(toks) < 6 or len(toks) > 45 or toks[0].low in PRONOUNS or toks[0].low in ("such", "other", "another", "its", "their", "his", "her", "our", "my", "some") or toks[-1].text == "?":
        return []
    found = parse.clause(words, toks)
    if not found:
        return []
    v, base, form = found
    if not plain_subject(words, toks, v):
        return []
    if any(t.low in PRONOUNS or t.low in ("such", "above", "following") for t in toks[:v]) or v > 12:
        return []
    if form == "aux" and toks[v].low in ("has", "have", "had") and (toks[v + 1].low in DETERMINERS or toks[v + 1].text[0].isdigit()):
        base, form = "have", {"has": "s", "have": "base", "had": "ed"}[toks[v].low]
    made = []
    for i, j, kind in parse.answers(words, toks) + [(a, b, k) for a, b, k in parse.answers(words, lead) if lead and k in ("date", "name") and a == 1]:
        in_lead = lead and kind in ("date", "name") and i == 1 and j <= len(lead) and (i, j, kind) in parse.answers(words, lead) and rng.random() < 0.5
        source = lead if in_lead else toks
        a, b = i, j
        while a < b - 1 and source[a].low in ("the", "a", "an", "its", "their", "his", "her", "this", "these", "those") and rng.random() < 0.75:
            a += 1
        if source[b - 1].low in parse.CLOSED or (b - a == 1 and (len(source[a].text) < 3 and not source[a].text[0].isdigit() or source[a].low.endswith("ly") or source[a].low.endswith("ed"))):
            continue
        before = source[i - 1].low if i else ""
        head = source[b - 1]
        if kind == "thing" and head.text.islower() and (head.low in words.base and before not in DETERMINERS and before not in PREPOSITIONS and b - a == 1
                                                        or re.search(r"(ful|ous|ible|able|ive|ical|ent|ant|less|ary|ing|al|ic|mon)$", head.low) and b - a == 1 and not head.low.endswith("ment")):
            continue
        if not in_lead and not simple_place(words, toks, v, i, j, kind):
            continue
        # which words ask for it
        fronted, drop_before = None, False
        if kind == "date":
            year = re.fullmatch(r"\d{4}", joined(source[a:b], sentence))
            whs, drop_before = (["When", "When", "In what year", "In which year"] if year else ["When", "When", "In what period"]), before in PREPOSITIONS
            if not before in PREPOSITIONS:
                continue
        elif kind == "number":
            if source[a].text.endswith("%") or (a + 1 < b and source[a + 1].low in ("percent", "%")):
                whs = ["What percentage", "How much"]
                b = min(b, a + 2)
            elif b - a >= 2 and source[b - 1].low not in parse.NUMBER_WORDS and not source[b - 1].text[0].isdigit():
                k = next(k for k in range(a, b) if k == b - 1 or not (source[k + 1].text[0].isdigit() or source[k + 1].low in parse.NUMBER_WORDS))
                rest = joined(source[k + 1:b], sentence)
                whs, b = [f"How many {rest}", f"What number of {rest}"], k + 1
                if not rest or rest[0].isupper():
                    continue
            else:
                whs = ["How many", "How much"]
        elif kind == "reason":
            whs, drop_before = ["Why", "Why", "For what reason"], True
        elif kind == "purpose":
            whs = ["Why", "For what purpose"]
        elif kind == "name":
            if is_person(words, source, i, j):
                whs = ["Who", "Who", "Which person"]
            elif before in PLACES_BEFORE and source[i].low not in DETERMINERS and b - a <= 2:
                whs, drop_before = ["Where", "Where", "In what place", "What location"], True
            else:
                head = source[b - 1].low
                whs = [f"Which {head}", f"What {head}"] if head in NOT_PERSON and b - a > 1 and rng.random() < 0.7 else ["What", "What", "Which", "Who" if rng.random() < 0.3 and b - a == 1 and i == 0 else "What"]
        else:
            head = source[b - 1].text
            if kind == "thing" and b - a >= 2 and rng.random() < 0.3 and head.islower() and "of" not in [t.low for t in source[a:b]]:
                whs, b = [f"What kind of {head}", f"What type of {head}", f"Which {head}", f"What {head}"], b - 1
            else:
                whs = ["What", "What", "What", "Which things" if kind == "list" else "What"]
        wh = rng.choice(whs)
        # where the clause is cut after the answer
        end = len(toks) - (toks[-1].text in ".!")
        stop = next((k for k in range((v + 1 if in_lead else max(j, v + 1)), end) if toks[k].text in ";:—" or toks[k].text == "," and k > v + 3), end)
        if rng.random() < 0.85 and stop - v > 2:
            end = stop
        if not in_lead:  # what follows the answer stays only up to the next clause or joined phrase
            for k in range(max(j, v + 1), end):
                if toks[k].low in ("and", "or", "but", "which", "who", "that", "where", "when", "while", "because", "although", "so", "to", "as") or toks[k].low in parse.AUX and k > v + 1 or words.past_base(toks[k].low) and k > v + 1 and kind != "date" and rng.random() < 0.5:
                    end = k
                    break
        drop_lead = in_lead or not lead or rng.random() < 0.5
        lead_text = "" if drop_lead else " " + joined(lowered(words, parse.tokens(joined(lead, sentence))), sentence)
        subject = parse.tokens(joined(toks[:v], sentence))
        verb = toks[v].text
        if not in_lead and j <= v:
            if i == 0 and (j == v or toks[j].low in PREPOSITIONS):
                tail = joined(toks[v:end], sentence) if rng.random() < 0.5 or j == v else joined(toks[j:end], sentence)
                if wh in ("When", "Where", "Why"):
                    continue
                question = f"{wh} {tail}{lead_text}"
            elif before in PREPOSITIONS and kind in ("name", "thing", "number"):
                low_wh = wh[0].lower() + wh[1:]
                question = f"{joined(toks[:i], sentence)} {'whom' if low_wh == 'who' else low_wh} {joined(toks[j:end], sentence)}{lead_text}"
            else:
                continue
        else:
            rest = toks[v + 1:end] if in_lead else toks[v + 1:i - (1 if drop_before and i > v + 1 else 0)] + (toks[j:end] if j < end else [])
            rest = joined(rest, sentence).strip(" ,")
            subject = joined(lowered(words, subject), sentence)
            if not in_lead and before == "by" and wh.startswith("Who"):
                wh = rng.choice(["By whom", "Who"])
                rest = re.sub(r"\bby\b\s*$", "", rest) if wh == "By whom" else rest
            if not in_lead and before in PREPOSITIONS and not drop_before and wh.startswith(("What", "Which", "How")) and rng.random() < 0.5 and rest.endswith(" " + before):
                wh, rest = f"{before.capitalize()} {wh[0].lower()}{wh[1:]}", rest[:-len(before) - 1]
            if form == "aux":
                question = f"{wh} {verb} {subject} {rest}{lead_text}"
            else:
                question = f"{wh} {({'ed': 'did', 's': 'does', 'base': 'do'})[form]} {subject} {base} {rest}{lead_text}"
        question = re.sub(r"\s+", " ", question).strip(" ,.") + "?"
        if re.search(r"\b(in|of|and|the|a|than|or|with what)\?$", question) and rng.random() < 0.8 or len(sentence[source[a].start:source[b - 1].end]) < 3 and not source[a].text[0].isdigit():
            continue
        if 4 <= len(question.split()) <= 22 and source[a].low not in ("one", "other") and question.count(",") < 4:
            made.append((question, source[a].start, source[b - 1].end, kind))
    return made


def reworded(rng, question):
    """Other words, fewer words, another order."""
    ws = question.rstrip("?").split()
    for k, w in enumerate(ws):
        if w in SYNONYMS and rng.random() < 0.5 and not (k == 1 and w == "many"):
            ws[k] = rng.choice(SYNONYMS[w])
    r = rng.random()
    if r < 0.05:  # keywords
        kept = [w for w in ws if w.lower().strip(",") not in CLOSED or w.lower() in ("who", "when", "where", "how", "why")]
        return " ".join(kept)
    if r < 0.25 and len(ws) > 9:  # a modifier or two fewer
        for _ in range(rng.randint(1, 2)):
            k = rng.randrange(3, len(ws))
            if ws[k].islower() and ws[k] not in CLOSED:
                del ws[k]
    if r > 0.85:  # "In 1665 what did ..." or "The cell wall is made of what?"
        text = " ".join(ws)
        m = re.match(r"^(Who|What|When|Where|Why|How many \w+|Which \w+) (.*) ((?:in|at|during|of|for|on) [\w ]{3,25})$", text)
        if m:
            return f"{m[3][0].upper()}{m[3][1:]}, {m[1][0].lower()}{m[1][1:]} {m[2]}?"
    return " ".join(ws) + "?"


@functools.lru_cache(300_000)
def content(text):
    return {w[:6] for w in re.findall(r"[a-z0-9]+", text.lower()) if w not in CLOSED and len(w) > 1}


def window(rng, paragraph, start, end, most):
    """A run of whole sentences around [start, end), at most `most` words, at a random place; with the span moved."""
    cuts = texts.sentences(paragraph)
    a = b = next((k for k, (s, e) in enumerate(cuts) if s <= start < e), None)
    if a is None or end > cuts[a][1]:
        return None
    size = lambda a, b: len(paragraph[cuts[a][0]:cuts[b][1]].split())
    while True:
        sides = [s for s in ("l", "r") if (s == "l" and a > 0 and size(a - 1, b) <= most) or (s == "r" and b + 1 < len(cuts) and size(a, b + 1) <= most)]
        if not sides:
            break
        if rng.choice(sides) == "l":
            a -= 1
        else:
            b += 1
    text = paragraph[cuts[a][0]:cuts[b][1]]
    return (text, start - cuts[a][0], end - cuts[a][0]) if len(text.split()) <= most + 60 else None


def without_sentence(text, start):
    """The passage without the sentence at `start`, or None if nothing much is left."""
    cuts = texts.sentences(text)
    rest = " ".join(text[s:e] for s, e in cuts if not s <= start < e)
    return rest if len(rest.split()) > 12 else None


def typed_span(words, question, fact):
    """Where a one-sentence fact answers a question asked by people: the phrase of the wanted type that the question does not hold."""
    toks, asked, low = parse.tokens(fact), content(question), question.lower()
    found = []
    for i, j, kind in parse.answers(words, toks):
        while i < j - 1 and toks[i].low in DETERMINERS:
            i += 1
        piece = fact[toks[i].start:toks[j - 1].end]
        if not content(piece) or content(piece) & asked or toks[i].low in CLOSED:
            continue
        found.append((i, j, kind, piece))
    if re.match(r"(when|what year|in what year|what (date|century|decade))", low):
        wanted = [f for f in found if f[2] == "date"]
    elif re.match(r"(how (many|much|long|old|tall|far|big|large|heavy)|what (is|was) the (population|height|weight|length|age|number))", low):
        wanted = [f for f in found if f[2] in ("number", "date")]
    elif re.match(r"(who|whose|where|what (country|city|state|company))", low):
        wanted = [f for f in found if f[2] == "name"]
    elif low.startswith("what"):
        wanted = [f for f in found if f[2] in ("thing", "list", "name")]
    else:
        return None
    if not wanted or len({f[0] for f in wanted}) > 2:
        return None
    i, j, kind, piece = max(wanted, key=lambda f: (f[1] - f[0] if low.startswith("what") else -f[0]))
    if kind == "number" and j - i > 3:
        j = i + 2
    if kind == "date":  # "December 30th, 2006" and "1929 and ended": the whole date, and nothing but the date
        m = re.search(rf"(?:(?:\d+ )?(?:{parse.MONTHS})(?: \d+(?:st|nd|rd|th)?)?,? )?\b\d{{3,4}}s?\b|(?:{parse.MONTHS}) \d+(?:st|nd|rd|th)?", fact[max(0, toks[i].start - 14):])
        if m:
            return max(0, toks[i].start - 14) + m.start(), max(0, toks[i].start - 14) + m.end()
    return toks[i].start, toks[j - 1].end


class Maker:
    def __init__(self, pages, rng):
        self.rng, self.words = rng, parse.default_words()
        self.pages = [dict(p, paragraphs=self.merged(p["body"])) for p in pages]
        self.all = [x for p in self.pages for x in p["paragraphs"]]
        self.index = Bm25(self.all, 0.05)
        self.out = []

    @staticmethod
    def merged(body):
        """Paragraphs of at least 60 words: shorter ones are joined to the next."""
        out = []
        for x in body:
            if out and len(out[-1].split()) < 60:
                out[-1] += " " + x
            else:
                out.append(x)
        return out

    def most(self):
        return self.rng.choice([30, 40, 60, 80, 110])

    def negatives(self, question, passage, start, answer):
        found, low = [], answer.lower()
        for k in self.index.top(question, 6):
            p = self.all[k]
            if low in p.lower() or passage[:40] in p or p[:40] in passage:
                continue
            cuts = texts.sentences(p)
            best = max(cuts, key=lambda c: len(content(p[c[0]:c[1]]) & content(question)))
            cut = window(self.rng, p, best[0], best[1], self.rng.choice([20, 30, 50]))
            if cut:
                found.append(cut[0])
                break
        removed = without_sentence(passage, start)
        if removed and low not in removed.lower() and (not found or self.rng.random() < 0.5):
            found.append(removed)
        return found

    def add(self, src, question, paragraph, start, end, weight=1.0, negatives=True):
        cut = window(self.rng, paragraph, start, end, self.most())
        if not cut:
            return
        passage, s, e = cut
        negs = self.negatives(question, passage, s, passage[s:e]) if negatives else []
        self.out.append({"src": src, "q": question, "w": weight,
                         "passages": [{"p": passage, "a": [s, e]}] + [{"p": n, "a": None} for n in negs]})

    def find(self, page, answer, hint, least):
        """The body sentence of `page` that holds `answer` and shares most with `hint`: (paragraph, start, end)."""
        best, place = least - 1, None
        wanted = content(hint) - content(answer)
        pattern = re.compile(r"(?<!\w)" + re.escape(answer) + r"(?:s|es)?(?!\w)", re.I)
        for p in page["paragraphs"]:
            for m in pattern.finditer(p):
                cut = next(((s, e) for s, e in texts.sentences(p) if s <= m.start() < e), None)
                if cut:
                    score = len(content(p[cut[0]:cut[1]]) & wanted)
                    if score > best:
                        best, place = score, (p, m.start(), m.end())
        return place

    def choices(self):
        for page in self.pages:
            for question, right, wrong in page["choices"]:
                answer = re.sub(r"^(?:the|a|an|to|by|in) ", "", right.rstrip(". "), flags=re.I)
                if not 2 < len(answer) < 60 or re.search(r"\b(all|none|both) of|and [a-c]\b|\bNOT\b|except", right + question, re.I):
                    continue
                place = self.find(page, answer, question, 2)
                if place:
                    for q in self.forms(question):
                        self.add("choices", q, *place, weight=1.0)

    def forms(self, question):
        """A fill-in question as it is and, where that is easy, as a wh-question."""
        if "____" not in question:
            return [question]
        m = re.fullmatch(r"(?:The |A |An )?____ ((?:is|are|was|were|can|has|have|\w+s)\b.*)", question.rstrip("."))
        if m:
            return [f"What {m[1]}?"]
        m = re.fullmatch(r"(.*?) (is|are|was|were) (.*)____", question.rstrip("."))
        if m and len(m[1].split()) < 12 and "," not in m[1]:
            return [f"What {m[2]} {m[1][0].lower()}{m[1][1:]} {m[3]}?".replace(" ?", "?").replace(" a?", "?").replace(" the?", "?")]
        return [question.replace("____", "what").rstrip(".") + "?", question] if self.rng.random() < 0.3 else [question.replace("____", "what").rstrip(".") + "?"]

    def glossary(self):
        for page in self.pages:
            for term, definition in page["glossary"]:
                if self.rng.random() < 0.6:  # there are ten thousand entries, and they ask for terms alone
                    continue
                term = re.sub(r"\s*\(.*\)", "", term).strip()
                if not 2 < len(term) < 40 or definition.startswith("see ") or not 4 < len(definition.split()) < 28:
                    continue
                definition = re.sub(r"^\(?(?:also|or),?[^;,)]*[;,)]\s*", "", definition).split(";")[0].rstrip(". ")
                place = self.find(page, term, definition, 2)
                if not place:
                    continue
                m = re.match(r"^(?:an? |the |any )?((?:[\w-]+ ){1,3}?)(?:that|which|who) (\w+ .*)$", definition)
                asked = [f"What is the term for {definition}?", f"What do we call {definition}?", f"What is {definition}?", f"What is the name of {definition}?"]
                asked += [f"Which {m[1]}{m[2]}?", f"What {m[1]}{m[2]}?"] * 2 if m else []
                self.add("glossary", self.rng.choice(asked), *place)
                p = place[0]
                d = re.search(r"(?<!\w)(?:An? |The )?" + re.escape(term) + r"s? (?:is|are|refers to|means|was|were) ((?:an? |the |any )[^.;]{15,140}?)(?=[.;]|, (?:and|but|which))", p, re.I)
                if d and self.rng.random() < 0.6:
                    self.add("define", self.rng.choice([f"What is {term}?", f"What is a {term}?", f"What does {term} mean?", f"How is {term} defined?", f"define {term}"]), p, d.start(1), d.end(1))

    def summaries(self):
        for page in self.pages:
            for block in page["summary"]:
                for s, e in texts.sentences(block):
                    sentence = block[s:e]
                    asked = ask(self.words, self.rng, sentence)
                    self.rng.shuffle(asked)
                    kept = 0
                    for question, a, b, kind in asked:
                        place = self.find(page, sentence[a:b], sentence, 4)
                        if place and kind not in ("reason", "purpose", "list"):
                            self.add("summary", question, *place)
                            kept += 1
                            if kept == 2:
                                break

    def fairytales(self, name="train"):
        for record in texts.records(f"fairytaleqa/{name}"):
            for qa in record["qas"]:
                answer = qa["answers"][0]
                if answer["answer_start"] is None:
                    continue
                context, start = record["context"], answer["answer_start"]
                paragraphs, at = re.split(r"(\n\n)", context), 0
                for p in paragraphs:
                    if at <= start and start + len(answer["text"]) <= at + len(p):
                        end = start - at + len(answer["text"].rstrip(" ."))
                        cut = window(self.rng, p, start - at, end, self.most())
                        if cut:
                            removed = without_sentence(cut[0], cut[1])
                            others = [x for x in paragraphs if len(x) > 80 and x != p and answer["text"].lower() not in x.lower()]
                            negs = [removed] if removed and self.rng.random() < 0.5 else []
                            if others and not negs:
                                o = self.rng.choice(others)
                                c = texts.sentences(o)
                                w = window(self.rng, o, *self.rng.choice(c), 60)
                                negs = [w[0]] if w else []
                            self.out.append({"src": "fairytale", "q": qa["question"], "w": 1.0, "passages": [{"p": cut[0], "a": [cut[1], cut[2]]}] + [{"p": n, "a": None} for n in negs]})
                        break
                    at += len(p)

    def made(self, count):
        places = [(p, s, e) for page in self.pages if page["book"] != "statistics" for p in page["paragraphs"] for s, e in texts.sentences(p)]
        # people, places and dates are what encyclopedias are asked about: the history, astronomy and biology books more often
        self.rng.shuffle(places)
        for p, s, e in places[:count]:
            asked = ask(self.words, self.rng, p[s:e])
            if asked:
                weights = [{"thing": 1, "name": 4, "date": 4, "number": 4, "reason": 4, "purpose": 2, "list": 1.5}[k] for *_, k in asked]
                question, a, b, kind = self.rng.choices(asked, weights)[0]
                self.add("made", reworded(self.rng, question), p, s + a, s + b)

    def clozes(self, count):
        """Questions around any answer of any sentence; those on dates, numbers and names more often, as people ask for them more often."""
        import clozes
        places = [(page, p, s, e) for page in self.pages if page["book"] != "statistics" for p in page["paragraphs"] for s, e in texts.sentences(p)]
        self.rng.shuffle(places)
        made = {"cloze": 0, "cross": 0}
        for page, p, s, e in places:
            if page["book"] not in ("us-history", "sociology", "psychology", "astronomy", "biology", "books") and self.rng.random() < 0.6:
                continue  # formulas and exercises make poor questions
            if made["cloze"] < count:
                one = clozes.cloze(self.words, self.rng, p[s:e])
                if one and (one[3] not in ("thing", "list", "purpose") or self.rng.random() < 0.3):
                    self.add("cloze", one[0], p, s + one[1], s + one[2])
                    made["cloze"] += 1
            two = made["cross"] < count and clozes.cross(self.words, self.rng, page, p[s:e])
            if two:
                self.add("cross", two[0], two[1], two[2], two[3])
                made["cross"] += 1

    def prose_answers(self):
        """Ranking only: questions whose answer is prose, against the body window nearest to that prose."""
        for page in self.pages:
            for question, answer in page["answered"]:
                if len(question.split()) < 5:
                    continue
                cuts = [(len(content(p[s:e]) & content(answer)), p, s, e) for p in page["paragraphs"] for s, e in texts.sentences(p)]
                if cuts and (best := max(cuts))[0] >= 5:
                    w = window(self.rng, best[1], best[2], best[3], 60)
                    negs = w and self.negatives(question, w[0], 0, "\0")[:1]
                    if negs:
                        self.out.append({"src": "answered", "q": question, "w": 0.5, "passages": [{"p": w[0], "a": "whole"}, {"p": negs[0], "a": None}]})

    def medquad(self, name="train"):
        rows = [r for r in texts.records(f"medquad/{name}") if 60 < len(r["answer"])]
        self.rng.shuffle(rows)
        by = {}
        for r in rows:
            by.setdefault(r["focus"], []).append(r)
        for r in rows[:500]:
            first = " ".join(r["answer"].split()[:self.rng.choice([25, 40, 60])])
            same = [x for x in by[r["focus"]] if x["qtype"] != r["qtype"]]
            other = self.rng.choice(same if same and self.rng.random() < 0.7 else rows)
            if other["focus"] == r["focus"] and other["qtype"] == r["qtype"]:
                continue
            self.out.append({"src": "medquad", "q": r["question"], "w": 0.5, "passages": [{"p": first, "a": "whole"}, {"p": " ".join(other["answer"].split()[:self.rng.choice([25, 40, 60])]), "a": None}]})

    def strategyqa(self):
        rows = texts.records("strategyqa/train")
        for r in rows:
            facts = r["facts"]
            for step in r["decomposition"]:
                if "#" in step or not facts or not step.endswith("?"):
                    continue
                scored = sorted(((len(content(step) & content(f)), f) for f in facts), reverse=True)
                spot = typed_span(self.words, step, scored[0][1]) if scored else None
                if spot and scored[0][0] >= 1:
                    near = [f for f in facts if f != scored[0][1] and scored[0][1][spot[0]:spot[1]].lower() not in f.lower()]
                    others = near if near and self.rng.random() < 0.6 else [self.rng.choice(rows)["facts"][0] if self.rng.random() < 1 else ""]
                    fact = scored[0][1].strip()
                    if spot[1] > len(fact):
                        continue
                    parts = near[:self.rng.randint(0, 2)] + [fact]
                    self.rng.shuffle(parts)
                    text = " ".join(p.strip() for p in parts)
                    at = text.index(fact)
                    self.out.append({"src": "strategyqa_span", "q": step, "w": 0.8, "passages": [{"p": text, "a": [at + spot[0], at + spot[1]]}, {"p": others[0], "a": None}]})
                    continue
                if scored[0][0] < 2 or (len(scored) > 1 and scored[0][0] == scored[1][0]):
                    continue
                other = scored[1][1] if len(scored) > 1 else self.rng.choice(self.rng.choice(rows)["facts"] or ["It is unknown."])
                self.out.append({"src": "strategyqa", "q": step, "w": 0.5, "passages": [{"p": scored[0][1], "a": "whole"}, {"p": other, "a": None}]})


def write(path, rows):
    with gzip.open(path, "wt", encoding="utf-8") as f:
        f.writelines(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)


def book_pages():
    """Novels and histories as pages without anything but a body: people, places and dates that textbooks lack."""
    return [{"book": "books", "title": title, "body": paragraphs, "summary": [], "glossary": [], "choices": [], "answered": []}
            for source, title, paragraphs in texts.other_prose() if source == "books"]


def main(folder, count, times):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    maker = Maker(texts.train_pages() + book_pages(), random.Random(10))
    for _ in range(times):
        for step in (maker.choices, maker.glossary, maker.summaries, maker.fairytales, maker.prose_answers, maker.medquad, maker.strategyqa, lambda: maker.made(count), lambda: maker.clozes(count // 2)):
            before = len(maker.out)
            step()
            print(getattr(step, "__name__", "made"), len(maker.out) - before, flush=True)
    maker.out = list({(r["q"], r["passages"][0]["p"]): r for r in maker.out}.values())
    maker.rng.shuffle(maker.out)
    write(folder / "questions.jsonl.gz", maker.out)
    dev = Maker(texts.held_out_pages(), random.Random(11))
    for step in (dev.choices, dev.glossary, dev.summaries, lambda: dev.made(200), lambda: dev.clozes(100)):
        step()
    write(folder / "questions_dev.jsonl.gz", dev.out)
    print("dev", len(dev.out))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 40000, int(sys.argv[3]) if len(sys.argv) > 3 else 1)
