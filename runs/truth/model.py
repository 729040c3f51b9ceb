"""The encoder: all-MiniLM-L6-v2's trunk over `[CLS] question or claim [SEP] passage or evidence [SEP]`, with five linear heads.

Heads read the last hidden states h [tokens, 384]; `pair` is [h of CLS, mean of h over the first text's tokens and its [SEP]] (768):
  rank       pair -> 1   how well the passage answers; only differences between passages mean something
  answerable pair -> 1   logit that the passage holds the answer
  span       h    -> 2   start and end logits of each passage token
  verdict    pair -> 3   supported, contradicted, not enough
  unsupported h   -> 1   logit of each claim token that the evidence does not bear it out
The word embeddings stay those of all-MiniLM-L6-v2 bit for bit, so that the retriever and this encoder can share the table.
"""

import pathlib

import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

VERDICTS = ["supported", "contradicted", "not enough"]
MAX_TOKENS = 256


class Truth(torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        self.trunk = BertModel(config, add_pooling_layer=False)
        width = config.hidden_size
        self.rank, self.answerable = torch.nn.Linear(2 * width, 1), torch.nn.Linear(2 * width, 1)
        self.verdict = torch.nn.Linear(2 * width, 3)
        self.span, self.unsupported = torch.nn.Linear(width, 2), torch.nn.Linear(width, 1)
        for head in (self.rank, self.answerable, self.verdict, self.span, self.unsupported):
            torch.nn.init.normal_(head.weight, std=0.02)
            torch.nn.init.zeros_(head.bias)

    def forward(self, ids, types, mask):
        h = self.trunk(input_ids=ids, token_type_ids=types, attention_mask=mask).last_hidden_state
        first = ((types == 0) & (mask == 1)).float()
        first[:, 0] = 0
        first = first.unsqueeze(2)
        pair = torch.cat([h[:, 0], (h * first).sum(1) / first.sum(1)], 1)
        return {"rank": self.rank(pair)[:, 0], "answerable": self.answerable(pair)[:, 0], "span": self.span(h),
                "verdict": self.verdict(pair), "unsupported": self.unsupported(h)[:, :, 0]}


def load(folder, dropout=0.0):
    """The untrained encoder (trunk from `folder`, heads random) and its tokenizer. Dropout costs a third of a CPU's time: off."""
    folder = pathlib.Path(folder)
    config = BertConfig.from_pretrained(folder, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    model = Truth(config)
    model.trunk = BertModel.from_pretrained(folder, config=config, add_pooling_layer=False)
    return model, load_tokenizer(folder)


def load_state(net, folder):
    """The moving average of a training run's weights."""
    state = torch.load(pathlib.Path(folder) / "state.pt", weights_only=False, map_location="cpu")
    net.load_state_dict({**state["net"], **state.get("average", {})})


def load_tokenizer(folder):
    tokenizer = Tokenizer.from_file(str(pathlib.Path(folder) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def encode(tokenizer, first, second):
    """Ids, types and the passage's character offsets of one pair; the second text is cut at MAX_TOKENS."""
    a, b = tokenizer.encode(first, add_special_tokens=False), tokenizer.encode(second, add_special_tokens=False)
    head, room = a.ids[:96], MAX_TOKENS - 3 - min(96, len(a.ids))
    ids = [101] + head + [102] + b.ids[:room] + [102]
    return {"ids": ids, "first": len(head), "types": [0] * (len(head) + 2) + [1] * (len(ids) - len(head) - 2),
            "first_offsets": a.offsets[:96], "offsets": b.offsets[:room]}


def batch(items, device="cpu"):
    longest = max(len(x["ids"]) for x in items)
    pad = lambda key, fill: torch.tensor([x[key] + [fill] * (longest - len(x[key])) for x in items], device=device)
    mask = torch.tensor([[1] * len(x["ids"]) + [0] * (longest - len(x["ids"])) for x in items], device=device)
    return pad("ids", 0), pad("types", 0), mask


def best_span(start, end, item, most=30):
    """(score, first passage token, last passage token) of the best span, from one pair's logits; a span has at most `most` tokens."""
    base, n = item["first"] + 2, len(item["offsets"])
    s, e = start[base:base + n], end[base:base + n]
    scores = s[:, None] + e[None, :]
    allowed = torch.triu(torch.ones(n, n, dtype=torch.bool)) & ~torch.triu(torch.ones(n, n, dtype=torch.bool), most)
    scores = scores.masked_fill(~allowed, float("-inf"))
    k = int(scores.argmax())
    return float(scores.max()), k // n, k % n
