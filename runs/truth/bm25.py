"""A small exact BM25 (k1 1.2, b 0.75) over word stems of six letters, for finding hard negatives and for evaluation.

    from bm25 import Bm25; Bm25(texts).top("question", 5)
"""

import collections, math, re

STOP = set("a an the of in on at by for to and or is are was were be been do does did what which who whom when where why how "
           "that this it its as with from has have had not".split())


def stems(text):
    return [re.sub(r"(ies|es|s|ed|ing)$", "", w) or w for w in re.findall(r"[a-z0-9]+", text.lower()) if w not in STOP]


class Bm25:
    def __init__(self, documents, common=0.3):
        """Words in more than the share `common` of the documents are left out of a query, for speed."""
        self.common = common
        self.postings, lengths = collections.defaultdict(list), []
        for k, text in enumerate(documents):
            counts = collections.Counter(stems(text))
            lengths.append(sum(counts.values()))
            for w, n in counts.items():
                self.postings[w].append((k, n))
        mean = sum(lengths) / max(1, len(lengths))
        self.norm = [1.2 * (0.25 + 0.75 * n / mean) for n in lengths]
        self.count = len(lengths)

    def scores(self, query):
        out = collections.defaultdict(float)
        for w in set(stems(query)):
            found = self.postings.get(w, ())
            if found and len(found) < self.common * self.count + 5:
                idf = math.log(1 + (self.count - len(found) + 0.5) / (len(found) + 0.5))
                for k, n in found:
                    out[k] += idf * n * 2.2 / (n + self.norm[k])
        return out

    def top(self, query, n):
        scores = self.scores(query)
        return sorted(scores, key=lambda k: (-scores[k], k))[:n]
