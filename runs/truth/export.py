"""Writes the trained reader and checker as safetensors files with int8 rows, and reads them back as the f32 reference.

Every matrix of a trunk (embeddings too) is stored as `NAME` I8 [rows, columns] with `NAME.scale` F32 [rows]:
value = int8 x scale of its row, scale = largest magnitude / 127, so it is symmetric. Norms, biases and heads are F32.
The word embeddings stand in reader.safetensors alone; the checker takes them from there. A file's metadata key `candor`
is a JSON text with shapes, the meaning of the heads and the tokenizer. `--fixtures` writes pairs with token ids and
expected outputs of the stored (rounded) weights in f32, for the parity test in Rust.

    python export.py --reader FOLDER... --checker FOLDER... --minilm FOLDER --out ../../crates/truth/weights [--fixtures ../../crates/truth/tests/fixtures]
"""

import argparse, hashlib, json, pathlib, shutil

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import BertConfig

import model as M, texts

WORDS = "embeddings.word_embeddings.weight"
OUTPUTS = {
    "reader": {"rank": "pair -> 1; only differences between passages mean something", "answerable": "pair -> 1, logit that the passage holds the answer",
               "span": "state -> 2 per passage token: start, end logits", "evidence": "state -> 1 per passage token; a sentence's score is the mean over its tokens"},
    "checker": {"verdict": "pair -> 3 logits: " + ", ".join(M.VERDICTS), "unsupported": "state -> 1 per claim token, logit"},
}


def quantize(w):
    scale = (w.abs().amax(1) / 127).clamp(min=1e-12)
    return torch.round(w / scale[:, None]).clamp(-127, 127).to(torch.int8), scale


def write(net, minilm, path):
    tensors, config = {}, net.trunk.config
    for name, w in net.state_dict().items():
        name, head = name.removeprefix("trunk."), name.split(".")[0] in M.HEADS[net.kind]
        if name.endswith("position_ids") or name == WORDS and net.kind != "reader":
            continue
        w = w.detach().float().contiguous()
        if w.ndim == 2 and not head:
            tensors[name], tensors[f"{name}.scale"] = quantize(w)
        else:
            tensors[name] = w
    vocabulary = (minilm / "vocab.txt").read_bytes()
    about = {
        "kind": net.kind, "architecture": "bert", "layers": config.num_hidden_layers, "width": config.hidden_size, "heads": config.num_attention_heads,
        "feed_forward": config.intermediate_size, "norm_epsilon": config.layer_norm_eps, "activation": "gelu (erf)", "max_tokens": M.MAX_TOKENS,
        "word_embeddings": "in this file" if net.kind == "reader" else "those of reader.safetensors",
        "input": "[CLS] question or claim (at most 96 tokens) [SEP] passage or evidence [SEP]; positions from 0",
        "types": "[CLS], the first text and its [SEP]: 0; the second text and its [SEP]: 1; a token of a word whose stem stands in both texts: 2 in the first, 3 in the second. "
                 "A word is a token with the ## pieces after it, joined; one that begins with a letter or digit and is no stop word has a stem: the word without the first "
                 "of the suffixes, in their order, that it ends in, then without a final e, y or i; each is taken off only if at least three characters stay.",
        "stop_words": M.STOP, "suffixes": M.SUFFIXES,
        "pair": "concatenation of the last state of [CLS] and the mean of the last states of the first text's tokens and its [SEP]",
        "outputs": OUTPUTS[net.kind],
        "tokenizer": {"kind": "WordPiece, lower case, accents stripped, as all-MiniLM-L6-v2", "vocabulary": "vocab.txt", "sha256": hashlib.sha256(vocabulary).hexdigest()},
    }
    save_file(tensors, path, metadata={"format": "pt", "candor": json.dumps(about)})


def stored(path):
    with safe_open(path, "pt") as f:
        return {k: f.get_tensor(k) for k in f.keys()}, json.loads(f.metadata()["candor"])


def load(folder, kind, dropout=0.0):
    """An encoder with the stored weights, in f32."""
    tensors, about = stored(pathlib.Path(folder) / f"{kind}.safetensors")
    if kind != "reader":
        with safe_open(pathlib.Path(folder) / "reader.safetensors", "pt") as f:
            tensors.update({k: f.get_tensor(k) for k in (WORDS, f"{WORDS}.scale")})
    config = BertConfig(hidden_size=about["width"], num_hidden_layers=about["layers"], num_attention_heads=about["heads"], intermediate_size=about["feed_forward"], type_vocab_size=4,
                        layer_norm_eps=about["norm_epsilon"], vocab_size=30522, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    net, state = M.Truth(config, kind), {}
    for name, w in tensors.items():
        if name.endswith(".scale"):
            continue
        if w.dtype == torch.int8:
            w = w.float() * tensors[f"{name}.scale"][:, None]
        state[name if name.split(".")[0] in M.HEADS[kind] else f"trunk.{name}"] = w
    missing, unknown = net.load_state_dict(state, strict=False)
    assert not unknown and all(m.endswith("position_ids") for m in missing), (missing, unknown)
    return net.eval()


# Sentences written for this file: the fixture must not carry third-party text.
PAIRS = [
    ("Who built the lighthouse?", "The lighthouse on the north cape was built by Anna Keller in 1874. It was lit until 1956."),
    ("When was the lighthouse lit for the last time?", "The lighthouse on the north cape was built by Anna Keller in 1874. It was lit until 1956."),
    ("How many rooms does the mill have?", "The old mill has seven rooms and a cellar. Its wheel is made of oak."),
    ("What is the wheel made of?", "The old mill has seven rooms and a cellar. Its wheel is made of oak."),
    ("Why did the market close?", "The market closed because the bridge had been washed away. Traders moved to Lindau."),
    ("Where did the traders move?", "The market closed because the bridge had been washed away. Traders moved to Lindau."),
    ("Who painted the hall?", "The old mill has seven rooms and a cellar. Its wheel is made of oak."),
    ("capital of the province", "Orsa is the largest town of the province, but its capital is Mora."),
    ("What does a valve do?", "A valve lets a fluid pass in one direction and stops it in the other."),
    ("Wie heißt die Stadt?", "Die Stadt heißt Zürich. Sie liegt am See."),
    ("The lighthouse was built in 1874.", "The lighthouse on the north cape was built by Anna Keller in 1874. It was lit until 1956."),
    ("The lighthouse was built in 1894.", "The lighthouse on the north cape was built by Anna Keller in 1874. It was lit until 1956."),
    ("The lighthouse was not built by Anna Keller.", "The lighthouse on the north cape was built by Anna Keller in 1874. It was lit until 1956."),
    ("The lighthouse is painted red.", "The lighthouse on the north cape was built by Anna Keller in 1874. It was lit until 1956."),
    ("The mill has seven rooms.", "The old mill has seven rooms and a cellar. Its wheel is made of oak."),
    ("The mill has nine rooms.", "The old mill has seven rooms and a cellar. Its wheel is made of oak."),
    ("The wheel of the mill is made of iron.", "The old mill has seven rooms and a cellar. Its wheel is made of oak."),
    ("Mora is the capital of the province.", "Orsa is the largest town of the province, but its capital is Mora."),
    ("Orsa is the capital of the province.", "Orsa is the largest town of the province, but its capital is Mora."),
    ("The traders moved to Lindau after the bridge was washed away.", "The market closed because the bridge had been washed away. Traders moved to Lindau."),
]


def fixture(net, tokenizer, path):
    rows = []
    for first, second in PAIRS:
        x = M.encode(tokenizer, first, second)
        with torch.no_grad():
            out = {k: v[0] for k, v in net(*M.batch([x])).items()}
        base, n = x["first"] + 2, len(x["offsets"])
        rounded = lambda t: [round(float(v), 5) for v in t.flatten()]
        row = {"first": first, "second": second, "ids": x["ids"], "types": x["types"]}
        if net.kind == "reader":
            _, s, e = M.best_span(out["span"][:, 0], out["span"][:, 1], x)
            cuts = texts.sentences(second)
            row |= {"rank": rounded(out["rank"])[0], "answerable": rounded(out["answerable"])[0], "start": rounded(out["span"][base:base + n, 0]), "end": rounded(out["span"][base:base + n, 1]),
                    "evidence": rounded(out["evidence"][base:base + n]), "best_span": second[x["offsets"][s][0]:x["offsets"][e][1]],
                    "sentences": [{"text": second[a:b], "evidence": rounded(out["evidence"][i:j].mean())[0]} for (a, b), (i, j) in zip(cuts, M.sentence_tokens(x, cuts))]}
        else:
            row |= {"verdict": rounded(out["verdict"]), "unsupported": rounded(out["unsupported"][1:1 + x["first"]])}
        rows.append(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"tolerance": 2e-3, "pairs": rows}, ensure_ascii=False, indent=1) + "\n")


def main():
    p = argparse.ArgumentParser()
    for flag in ("--minilm", "--out"):
        p.add_argument(flag, required=True, type=pathlib.Path)
    for flag in ("--reader", "--checker"):
        p.add_argument(flag, type=pathlib.Path, nargs="+", help="folders of training runs; the mean of their weights is written")
    p.add_argument("--fixtures", type=pathlib.Path)
    args = p.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(args.minilm / "vocab.txt", args.out / "vocab.txt")
    for kind in ("reader", "checker"):
        path = args.out / f"{kind}.safetensors"
        if getattr(args, kind):
            net, tokenizer = M.load(args.minilm, kind)
            M.load_state(net, *getattr(args, kind))
            write(net.eval(), args.minilm, path)
        if path.exists() and args.fixtures:
            fixture(load(args.out, kind), M.load_tokenizer(args.minilm), args.fixtures / f"{kind}.json")
        if path.exists():
            print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
