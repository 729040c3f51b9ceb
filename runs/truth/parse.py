"""Splits English sentences into verbs, noun phrases and answers by closed word classes and counts, no trained tagger.

Which words can be verbs is read off the texts themselves (`Words`): a word that follows "to" or a modal often enough
is a base form, and its inflections follow by rule or from a table of irregular verbs. `clause` finds subject, verb
group and rest of a sentence's main clause; `answers` lists the pieces of it that somebody could ask for, each with a type.
"""

import collections, functools, json, pathlib, re, tempfile

BE, HAVE, DO = set("is are was were be been being am".split()), set("has have had".split()), set("do does did".split())
MODALS = set("can could will would may might must shall should".split())
AUX = set("is are was were has have had".split()) | MODALS | DO
PREPOSITIONS = set("of in on at by for with from to into onto over under between among through during before after about "
                   "against within without toward towards upon across along around behind beyond near since until as like "
                   "than per via throughout despite except including below above off".split())
DETERMINERS = set("a an the this that these those its their his her our my your some any each every no another both all "
                  "many most several few such other one's".split())
PRONOUNS = set("i you he she it we they me him us them himself herself itself themselves there who whom which what whose "
               "this that these those one ones others someone anyone everyone nothing something anything everything".split())
JOINERS = set("and or but nor so yet because although though while whereas when where if unless that which who whom whose "
              "how why whether thus hence therefore however moreover furthermore also not then even only just very more most "
              "less too quite rather instead still already often usually always never sometimes".split())
CLOSED = AUX | BE | HAVE | DO | PREPOSITIONS | DETERMINERS | PRONOUNS | JOINERS
MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
NUMBER_WORDS = set("two three four five six seven eight nine ten eleven twelve thirteen fifteen twenty thirty forty fifty "
                   "sixty seventy eighty ninety hundred thousand million billion half dozen".split())
UNITS = set("percent % years year days day months month weeks hours minutes seconds meters km kilometers miles feet inches "
            "grams kg kilograms tons pounds dollars degrees times people cells species".split())
IRREGULAR = {b: (p, q) for b, p, q in (x.split("/") for x in
    "begin/began/begun become/became/become bring/brought/brought build/built/built buy/bought/bought choose/chose/chosen "
    "come/came/come cut/cut/cut draw/drew/drawn drive/drove/driven eat/ate/eaten fall/fell/fallen feel/felt/felt "
    "fight/fought/fought find/found/found fly/flew/flown forget/forgot/forgotten get/got/gotten give/gave/given go/went/gone "
    "grow/grew/grown hear/heard/heard hold/held/held keep/kept/kept know/knew/known lay/laid/laid lead/led/led "
    "leave/left/left lend/lent/lent let/let/let lose/lost/lost make/made/made mean/meant/meant meet/met/met pay/paid/paid "
    "put/put/put read/read/read ride/rode/ridden rise/rose/risen run/ran/run say/said/said see/saw/seen sell/sold/sold "
    "send/sent/sent set/set/set shoot/shot/shot show/showed/shown sing/sang/sung sink/sank/sunk sit/sat/sat "
    "speak/spoke/spoken spend/spent/spent spread/spread/spread stand/stood/stood strike/struck/struck swim/swam/swum "
    "take/took/taken teach/taught/taught tell/told/told think/thought/thought throw/threw/thrown understand/understood/understood "
    "wear/wore/worn win/won/won write/wrote/written break/broke/broken catch/caught/caught deal/dealt/dealt dig/dug/dug "
    "seek/sought/sought sleep/slept/slept split/split/split steal/stole/stolen bear/bore/born bind/bound/bound "
    "undergo/underwent/undergone arise/arose/arisen overcome/overcame/overcome".split())}
TOKEN = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?(?:%|s\b)?|[^\W\d_]+(?:[-’'][^\W_]+)*|\w+|[^\w\s]")


class Token:
    __slots__ = ("text", "low", "start", "end")

    def __init__(self, m):
        self.text, self.low, self.start, self.end = m.group(), m.group().lower().replace("’", "'"), m.start(), m.end()


def tokens(text):
    return [Token(m) for m in TOKEN.finditer(text)]


def third(b):
    return b + "es" if re.search(r"(s|x|z|ch|sh|o)$", b) else b[:-1] + "ies" if re.search(r"[^aeiou]y$", b) else b + "s"


def past(b):
    if b in IRREGULAR:
        return IRREGULAR[b][0]
    if b.endswith("e"):
        return b + "d"
    if re.search(r"[^aeiou]y$", b):
        return b[:-1] + "ied"
    return b + b[-1] + "ed" if re.fullmatch(r"[^aeiou]*[aeiou][bdgmnprt]", b) else b + "ed"


class Words:
    """Verb forms found in a corpus, and how often a word is capitalised inside sentences."""

    def __init__(self, texts):
        modal, det, self.lower, self.upper = (collections.Counter() for _ in range(4))
        for text in texts:
            last = ""
            for w in re.findall(r"[A-Za-z]+|[.!?,;:]", text):
                low = w.lower()
                if last in ("to", "not") or last in MODALS:
                    modal[low] += 1
                elif last in DETERMINERS or last in ("of",):
                    det[low] += 1
                if w.isalpha() and last not in ("", ".", "!", "?", ":"):
                    (self.upper if w[0].isupper() else self.lower)[low] += 1
                last = low
        base = {w for w, n in modal.items() if n >= 4 and n > 0.25 * det[w] and w not in CLOSED and len(w) > 1}
        base |= set(IRREGULAR)
        self.form = {}
        for b in sorted(base):
            self.form.setdefault(third(b), (b, "s"))
            self.form[past(b)] = (b, "ed")
        self.base = base
        for w in list(self.form):  # nouns in -s ("cells", "forms") are verbs only where counts allow it
            b, kind = self.form[w]
            if kind == "s" and det[b] + det[w] > 2.5 * modal[b]:
                del self.form[w]

    def past_base(self, low):
        """The base form of a word in -ed, known or guessed from the words of the corpus, or None."""
        if low in self.form and self.form[low][1] == "ed":
            return self.form[low][0]
        if not low.endswith("ed") or len(low) < 5:
            return None
        guesses = [low[:-2], low[:-1], low[:-3] if low[-3] == low[-4] else "", low[:-3] + "y" if low.endswith("ied") else ""]
        best = max(guesses, key=lambda g: self.lower[g] if g and past(g) == low else 0)
        return best if best and self.lower[best] and past(best) == low else None

    def is_name(self, low):
        return self.upper[low] > 2 * self.lower[low] and self.upper[low] > 0


def clause(words, toks):
    """(verb, its base form or None for an auxiliary, "s" | "ed" | "base") of the main clause's first finite verb, or None.

    The tokens before the verb are the subject; a caller cuts leading phrases ("In 1665,") off first.
    """
    for i in range(1, min(len(toks) - 1, 25)):
        low, before, after = toks[i].low, toks[i - 1].low, toks[i + 1].low
        if toks[i].text in ";:(,—" or low in ("that", "which", "who", "whose", "because", "when", "if", "where", "while", "although"):
            return None
        if before in PREPOSITIONS or before in DETERMINERS or before in ("to", "and", "or", "not"):
            continue
        if low in AUX:
            return i, None, "aux"
        if not toks[i].text.islower() or low in CLOSED:
            continue
        object_like = after in CLOSED or after.isdigit() or toks[i + 1].text[0].isupper() or after.endswith("ly") or after in NUMBER_WORDS
        base = words.past_base(low)
        if base and object_like and after != "by":
            return i, base, "ed"
        if low in words.form and words.form[low][1] == "s" and after not in (",", "."):
            return i, words.form[low][0], "s"
        if low in words.base and before.endswith("s") and not before.endswith("ss") and after not in (",", ".", "of"):
            return i, low, "base"
    return None


def np_at(words, toks, i, limit=7):
    """End of the noun phrase that starts at i, or i."""
    j = i
    if j < len(toks) and toks[j].low in DETERMINERS:
        j += 1
    k = j
    while k < len(toks) and k - j < limit:
        t = toks[k]
        if t.low in CLOSED or not (t.text[0].isalnum()) or t.low in words.form and t.text.islower():
            break
        if t.low.endswith("ed") and t.text.islower() and k > j and words.past_base(t.low):
            break
        if t.low.endswith("ly") and t.text.islower():
            break
        k += 1
    return k if k > j else i


def kind_of(words, toks, i, j):
    """Type of the phrase toks[i:j]: date, number, name, thing."""
    text = " ".join(t.text for t in toks[i:j])
    if re.search(rf"\b(?:{MONTHS})\b.*\d|\b1[0-9]\d\d\b|\b20[0-2]\d\b|\b\d+s\b|centur", text):
        return "date"
    if re.match(r"\d", toks[i].text) or toks[i].low in NUMBER_WORDS:
        return "number"
    caps = [t for t in toks[i:j] if t.text[0].isupper() and (words.is_name(t.low) or not words.lower[t.low])]
    return "name" if len(caps) >= max(1, (j - i) // 2) else "thing"


def answers(words, toks):
    """(first token, past the last token, type) of the phrases in a sentence that a question could ask for."""
    found, i = [], 0
    while i < len(toks):
        low = toks[i].low
        if low in ("because",) and i + 3 < len(toks):
            j = next((k for k in range(i + 1, len(toks)) if toks[k].text in ",;.("), len(toks))
            if j - i > 4:
                found.append((i + (toks[i + 1].low != "of"), j, "reason"))
        if low == "to" and i + 1 < len(toks) and toks[i + 1].low in words.base and i > 3:
            j = next((k for k in range(i + 1, len(toks)) if toks[k].text in ",;.(" or toks[k].low in ("and", "which", "that", "but")), len(toks))
            if 3 <= j - i <= 12:
                found.append((i, j, "purpose"))
        j = np_at(words, toks, i)
        if j > i:
            found.append((i, j, kind_of(words, toks, i, j)))
            if j + 1 < len(toks) and toks[j].low == "of":
                k = np_at(words, toks, j + 1)
                if k > j + 1:
                    found.append((i, k, kind_of(words, toks, i, j)))
            if j + 1 < len(toks) and toks[j].text in (",", "and", "or"):  # a list: A, B(,) and C
                k, items = j, 1
                while k < len(toks) and toks[k].text in (",", "and", "or"):
                    m = k + 1 + (toks[k].text == "," and k + 1 < len(toks) and toks[k + 1].low in ("and", "or"))
                    n = np_at(words, toks, m, 4)
                    if n == m:
                        break
                    items, k = items + 1, n
                    if toks[m - 1].low in ("and", "or"):
                        if items >= 2 and k - i < 16:
                            found.append((i, k, "list"))
                        break
            i = j
        else:
            i += 1
    return found


@functools.cache
def default_words():
    import texts
    return texts.kept("candor-words", lambda: count_words(texts))


def count_words(texts):
    body = [p for page in texts.textbook_pages() for p in page["body"]]
    return Words(body + [p for s, _, ps in texts.other_prose() if s == "books" for p in ps])


if __name__ == "__main__":
    w = default_words()
    print(len(w.base), len(w.form), sorted(w.form)[:2000:40])
    for s in ("In 1665, the English scientist Robert Hooke coined the term cell for the box-like structures.",
              "The plasma membrane is selectively permeable and defines the borders of the cell.",
              "The expansion of the British Empire began after the union of England and Scotland in 1707.",
              "Animals use fur, feathers, and fat to keep their bodies warm because heat is lost quickly."):
        t = tokens(s)
        print(clause(w, t), [(" ".join(x.text for x in t[i:j]), k) for i, j, k in answers(w, t)])
