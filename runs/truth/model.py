"""Two encoders of all-MiniLM-L6-v2's shape over `[CLS] question or claim [SEP] passage or evidence [SEP]`, with linear heads.

Heads read the last hidden states h [tokens, 384]; `pair` is [h of CLS, mean of h over the first text's tokens and its [SEP]] (768).
The reader:
  rank       pair -> 1   how well the passage answers; only differences between passages mean something
  answerable pair -> 1   logit that the passage holds the answer
  span       h    -> 2   start and end logits of each passage token
  evidence   h    -> 1   of each passage token; a sentence's score is the mean over its tokens, comparable between passages
The checker:
  verdict    pair -> 3   supported, contradicted, not enough
  unsupported h   -> 1   logit of each claim token that the evidence does not bear it out

Token types tell which words the two texts share (`match_types`): an encoder trained on few texts learns to compare words
much sooner when it need not find them itself. The word embeddings stay those of all-MiniLM-L6-v2 bit for bit, so that
the retriever, the reader and the checker share one table.
"""

import pathlib

import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

VERDICTS = ["supported", "contradicted", "not enough"]
MAX_TOKENS = 256
HEADS = {"reader": {"rank": (768, 1), "answerable": (768, 1), "span": (384, 2), "evidence": (384, 1)},
         "checker": {"verdict": (768, 3), "unsupported": (384, 1)}}
SUFFIXES = ["ies", "es", "s", "ed", "ing"]
STOP = ("a about all also an and any are as at be been but by can could did do does for from had has have he her his how i if in into is it its "
        "many may more most much no not of on one or other she so some such than that the their them then there these they this to was we were "
        "what when where which while who whom whose why will with would you").split()


class Truth(torch.nn.Module):
    def __init__(self, config, kind):
        super().__init__()
        self.kind, self.trunk = kind, BertModel(config, add_pooling_layer=False)
        for name, (width, outputs) in HEADS[kind].items():
            head = torch.nn.Linear(width, outputs)
            torch.nn.init.normal_(head.weight, std=0.02)
            torch.nn.init.zeros_(head.bias)
            setattr(self, name, head)

    def forward(self, ids, types, mask):
        h = self.trunk(input_ids=ids, token_type_ids=types, attention_mask=mask).last_hidden_state
        first = ((types % 2 == 0) & (mask == 1)).float()
        first[:, 0] = 0
        first = first.unsqueeze(2)
        pair = torch.cat([h[:, 0], (h * first).sum(1) / first.sum(1)], 1)
        out = {}
        for name, (width, outputs) in HEADS[self.kind].items():
            value = getattr(self, name)(pair if width == pair.shape[1] else h)
            out[name] = value.squeeze(-1) if outputs == 1 else value
        return out


def config_of(folder, dropout=0.0):
    # On a CPU the fused attention's backward pass takes half of the time.
    return BertConfig.from_pretrained(folder, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout, type_vocab_size=4,
                                      attn_implementation="sdpa" if torch.cuda.is_available() else "eager")


def load(folder, kind, dropout=0.0):
    """The untrained encoder (trunk from `folder`, heads random) and its tokenizer."""
    folder = pathlib.Path(folder)
    net = Truth(config_of(folder, dropout), kind)
    plain = BertModel.from_pretrained(folder, add_pooling_layer=False)
    load_weights(net, {f"trunk.{k}": v for k, v in plain.state_dict().items()})
    return net, load_tokenizer(folder)


def load_weights(net, weights):
    """Takes over what has a place in `net`: types 2 and 3 begin as copies of 0 and 1, missing heads stay random."""
    types = "trunk.embeddings.token_type_embeddings.weight"
    if types in weights and weights[types].shape[0] == 2:
        weights = {**weights, types: weights[types].repeat(2, 1)}
    mine = net.state_dict()
    net.load_state_dict({**mine, **{k: v for k, v in weights.items() if k in mine}})


def load_state(net, *folders):
    """The moving average of a training run's weights; of several runs from one start, the mean of these (arXiv:2203.05482)."""
    states = [torch.load(pathlib.Path(f) / "state.pt", weights_only=False, map_location="cpu") for f in folders]
    runs = [{**s["net"], **s.get("average", {})} for s in states]
    load_weights(net, {n: sum(r[n].float() for r in runs) / len(runs) for n in runs[0]})


def load_tokenizer(folder):
    tokenizer = Tokenizer.from_file(str(pathlib.Path(folder) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def stem(word):
    """The word without the first of SUFFIXES that it ends in, then without a final e, y or i; each only if at least three letters stay."""
    suffix = next((s for s in SUFFIXES if word.endswith(s)), "")
    if suffix and len(word) - len(suffix) >= 3:
        word = word[:-len(suffix)]
    return word[:-1] if word[-1] in "eyi" and len(word) > 3 else word


def token_stems(tokens):
    """For each WordPiece token the stem of the word it is part of, or "" for stop words and marks."""
    words, at = [], []
    for t in tokens:
        if t.startswith("##") and words:
            words[-1] += t[2:]
        else:
            words.append(t)
        at.append(len(words) - 1)
    stems = ["" if w in STOP or not w[:1].isalnum() else stem(w) for w in words]
    return [stems[k] for k in at]


def match_types(first, second):
    """Token types of two token lists: 0 and 1, or 2 and 3 for tokens of words whose stem stands in both texts."""
    a, b = token_stems(first), token_stems(second)
    both = (set(a) & set(b)) - {""}
    return [2 if s in both else 0 for s in a], [3 if s in both else 1 for s in b]


def encode(tokenizer, first, second):
    """Ids, types and the passage's character offsets of one pair; the second text is cut at MAX_TOKENS."""
    a, b = tokenizer.encode(first, add_special_tokens=False), tokenizer.encode(second, add_special_tokens=False)
    head, room = a.ids[:96], MAX_TOKENS - 3 - min(96, len(a.ids))
    types = match_types(a.tokens[:96], b.tokens[:room])
    return {"ids": [101] + head + [102] + b.ids[:room] + [102], "types": [0] + types[0] + [0] + types[1] + [1],
            "first": len(head), "first_offsets": a.offsets[:96], "offsets": b.offsets[:room]}


def batch(items, device="cpu"):
    # A multiple of 16: the library that multiplies keeps what it compiled for a shape, and too many shapes fill the memory.
    longest = -(-max(len(x["ids"]) for x in items) // 16) * 16
    pad = lambda key, fill: torch.tensor([x[key] + [fill] * (longest - len(x[key])) for x in items], device=device)
    mask = torch.tensor([[1] * len(x["ids"]) + [0] * (longest - len(x["ids"])) for x in items], device=device)
    return pad("ids", 0), pad("types", 1), mask


def best_span(start, end, item, most=30):
    """(score, first passage token, last passage token) of the best span, from one pair's logits; a span has at most `most` tokens."""
    base, n = item["first"] + 2, len(item["offsets"])
    s, e = start[base:base + n], end[base:base + n]
    scores = s[:, None] + e[None, :]
    allowed = torch.triu(torch.ones(n, n, dtype=torch.bool)) & ~torch.triu(torch.ones(n, n, dtype=torch.bool), most)
    scores = scores.masked_fill(~allowed, float("-inf"))
    k = int(scores.argmax())
    return float(scores.max()), k // n, k % n


def sentence_tokens(item, cuts):
    """For each sentence, given as (start, end) in the passage's characters: its first token and past its last one, counted in the whole input."""
    base, out = item["first"] + 2, []
    for s, e in cuts:
        inside = [k for k, (a, b) in enumerate(item["offsets"]) if a >= s and b <= e]
        out.append((base + inside[0], base + inside[-1] + 1) if inside else None)
    return out
