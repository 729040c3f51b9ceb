"""Reads the open texts of `../shared/data` and cuts them into pages, paragraphs and sentences.

A textbook page (OpenStax, CC BY 3.0) has a body, and at its end a summary, a glossary and review questions with
their right answers: the summary says the body's facts again in other words, and the questions were written by
people. Those three are the best raw material there is here, so they are kept apart. `train_pages` leaves out every
twentieth page (by the hash of its id), which `held_out_pages` returns: development figures come from those.

    python texts.py            # counts what there is
"""

import functools, gzip, hashlib, json, os, pathlib, pickle, re, tempfile

DATA = pathlib.Path(os.environ.get("CANDOR_DATA_SETS", pathlib.Path(__file__).resolve().parents[3] / "shared/data"))
BOOKS = "biology anatomy physics sociology psychology chemistry us-history economics statistics microbiology astronomy".split()
ABBREVIATIONS = set("mr mrs ms dr st prof sr jr vs etc inc no vol fig e.g i.e cf al ca approx gen col lt sgt rev hon "
                    "gov sen rep dept est ed pp u.s d.c b.c a.d p.m a.m mt ft c".split())


def records(name):
    """The JSON lines of one file, `set/file` without its ending."""
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@functools.lru_cache(300_000)
def sentences(text):
    """Exact pieces of `text` as (start, end): cut after . ! ? where a capital, digit or quote follows."""
    cuts, start = [], 0
    for m in re.finditer(r"[.!?][\"”’')\]]*(?=\s+[\"“‘'(\[]?[A-Z0-9])|[.!?][\"”’')\]]*$", text):
        word = re.split(r"[^\w.]", text[max(start, m.start() - 12):m.start()])[-1].lower()
        if text[m.start()] == "." and (word in ABBREVIATIONS or re.fullmatch(r"[a-z]|([a-z]\.)+[a-z]", word)):
            continue
        cuts.append((start, m.end()))
        start = m.end()
        while start < len(text) and text[start].isspace():
            start += 1
    if start < len(text.rstrip()):
        cuts.append((start, len(text.rstrip())))
    return cuts


def clean(text):
    """Drops Markdown marks, figure references and footnote anchors, keeps the words."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\[([^\]]*)\]\[\d+\]", r"\1", text)
    text = re.sub(r"\*\*?|(?<!\w)_(?=\w)|(?<=\w)_(?!\w)", "", text)
    text = re.sub(r"\s*\((?:see )?(?:link|[Ff]igure|[Tt]able|credit)[^)]*\)|\[footnote\]|\^\d*", "", text)
    return re.sub(r"\s+", " ", text).replace(" ,", ",").replace(" .", ".").strip()


def is_prose(paragraph):
    return (len(paragraph) > 80 and paragraph[0].isalpha() and paragraph.rstrip()[-1:] in ".!?\"”)"
            and not re.search(r"[=+^\\|<>{}]|\(credit|credit:|http|www\.", paragraph)
            and len(re.findall(r"[^A-Za-z\s]", paragraph)) < 0.1 * len(paragraph))


def held_out(page_id):
    return int(hashlib.sha256(page_id.encode()).hexdigest(), 16) % 20 == 0


def review_questions(blocks):
    """(question, right, wrong options) of the multiple choice and fill-in questions in a section's blocks."""
    found, question, options = [], None, []
    for block in blocks:
        listed = re.findall(r"^\d+\. (.*)$", block, re.M)
        if len(listed) >= 3:
            options = [clean(o) for o in listed]
        elif re.fullmatch(r"[A-E]", block) and options and question and ord(block) - 65 < len(options):
            right = options.pop(ord(block) - 65)
            found.append((question, right, options))
            question, options = None, []
        elif question and "__" in question and not options and len(block) < 60 and not block.endswith((".", "?")):
            found.append((question, clean(block), []))
            question = None
        elif question and block.startswith("(1:"):
            pass
        else:
            question, options = clean_question(block), []
    return found


def clean_question(block):
    block = re.sub(r"\\?_(?:\\?_)+", "____", block)
    return re.sub(r"\s+", " ", re.sub(r"\*\*?", "", block)).strip()


def answered_questions(blocks):
    """(question, answer in prose) where a block that ends in `?` is followed by one that reads like its answer."""
    return [(clean(q), clean(a)) for q, a in zip(blocks, blocks[1:])
            if q.endswith("?") and len(q) < 250 and not a.endswith("?") and len(a) > 60 and not re.match(r"\d+\.|\(", a)
            and not re.match(r"(Explain|Describe|Discuss|Why|What|How|Compare|List|Define|Name|Suppose)\b", a)]


def textbook_pages():
    """All pages, parsed once and kept beside the system's temporary files."""
    return kept("candor-textbook-pages", lambda: list(parse_textbooks()))


def kept(name, make):
    path = pathlib.Path(tempfile.gettempdir()) / f"{name}.pickle"
    if not path.exists():
        path.write_bytes(pickle.dumps(make()))
    return pickle.loads(path.read_bytes())


def parse_textbooks():
    for book in BOOKS:
        for record in records(f"openstax/{book}"):
            page = {"id": record["id"], "book": book, "title": record["title"], "body": [], "summary": [],
                    "glossary": [], "choices": [], "answered": []}
            for section in re.split(r"^(?=#+ )", record["text"], flags=re.M):
                head, _, text = section.partition("\n") if section.startswith("#") else ("", "", section)
                head = head.strip("# ").lower()
                blocks = [b.strip() for b in re.split(r"\n\s*\n", text) if b.strip()]
                if head == "glossary":
                    page["glossary"] += [(clean(t), clean(d)) for t, d in re.findall(r"^(.+)\n: ?(.+)$", text, re.M)]
                elif re.search(r"summary|chapter review", head):
                    page["summary"] += [clean(b) for b in blocks if is_prose(clean(b))]
                elif re.search(r"question|quiz|multiple|fill|answer|response|critical|problem|exercise", head):
                    page["choices"] += review_questions(blocks)
                    page["answered"] += answered_questions(blocks)
                elif not re.search(r"reference|footnote|research|link|video|web|article|true|match|equation|objective", head):
                    page["body"] += [clean(b) for b in blocks if is_prose(clean(b))]
            yield page


def train_pages():
    return [p for p in textbook_pages() if not held_out(p["id"])]


def held_out_pages():
    return [p for p in textbook_pages() if held_out(p["id"])]


def other_prose():
    """Paragraphs of the other open texts, as (source, title, paragraphs): books, design proposals, manuals."""
    for name in ("books_en/standardebooks", "books_en/gutenberg"):
        for r in records(name):
            yield "books", r["title"], [c for c in map(clean, re.split(r"\n\s*\n", r["text"])) if is_prose(c)]
    for name in sorted(p.name[:-9] for s in ("python_peps", "rust_rfcs", "rust_docs") for p in (DATA / s).glob("*.gz")):
        folder = next(s for s in ("python_peps", "rust_rfcs", "rust_docs") if (DATA / s / f"{name}.jsonl.gz").exists())
        if "zh" in name:
            continue
        for r in records(f"{folder}/{name}"):
            yield folder, r.get("title", ""), [c for c in map(clean, re.split(r"\n\s*\n", r["text"])) if is_prose(c)]


if __name__ == "__main__":
    pages = list(textbook_pages())
    for key in ("body", "summary", "glossary", "choices", "answered"):
        print(key, sum(len(p[key]) for p in pages))
    print("words in bodies", sum(len(x.split()) for p in pages for x in p["body"]))
    print("held out pages", sum(held_out(p["id"]) for p in pages))
    for page in pages[30:1200:250]:
        print(page["title"], page["summary"][:1], page["glossary"][:2], page["choices"][:3], page["answered"][:1])
