"""Writes the trained encoder as one safetensors file with int8 rows, and reads it back as the f32 reference.

Every matrix of the trunk (embeddings too) is stored as `NAME` I8 [rows, columns] with `NAME.scale` F32 [rows]:
value = int8 x scale of its row, scale = largest magnitude / 127, so it is symmetric. Norms, biases and heads are F32.
The file's metadata key `candor` is a JSON text with shapes, the meaning of the heads and the tokenizer. `--fixture` writes
pairs with token ids and expected outputs of the stored (rounded) weights in f32, for the parity test in Rust.

    python export.py --state FOLDER --minilm FOLDER --out ../../crates/truth/weights [--fixture ../../crates/truth/tests/fixtures/encoder.json]
"""

import argparse, hashlib, json, pathlib, shutil

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import BertConfig

import model as M

HEADS = ("rank", "answerable", "verdict", "span", "unsupported")


def quantize(w):
    scale = (w.abs().amax(1) / 127).clamp(min=1e-12)
    return torch.round(w / scale[:, None]).clamp(-127, 127).to(torch.int8), scale


def write(net, config, minilm, path):
    tensors = {}
    for name, w in net.state_dict().items():
        if name.endswith("position_ids"):
            continue
        name, head = name.removeprefix("trunk."), name.split(".")[0] in HEADS
        w = w.detach().float().contiguous()
        if w.ndim == 2 and not head:
            tensors[name], tensors[f"{name}.scale"] = quantize(w)
        else:
            tensors[name] = w
    vocabulary = (minilm / "vocab.txt").read_bytes()
    about = {
        "architecture": "bert", "layers": config.num_hidden_layers, "width": config.hidden_size, "heads": config.num_attention_heads,
        "feed_forward": config.intermediate_size, "norm_epsilon": config.layer_norm_eps, "activation": "gelu (erf)", "max_tokens": M.MAX_TOKENS,
        "input": "[CLS] question or claim (at most 96 tokens) [SEP] passage or evidence [SEP]; token types 0 up to the first [SEP], then 1; positions from 0",
        "pair": "concatenation of the last state of [CLS] and the mean of the last states of the first text's tokens and its [SEP]",
        "outputs": {"rank": "pair -> 1", "answerable": "pair -> 1, logit", "verdict": "pair -> 3 logits: " + ", ".join(M.VERDICTS),
                    "span": "state -> 2 per passage token: start, end logits", "unsupported": "state -> 1 per claim token, logit"},
        "tokenizer": {"kind": "WordPiece, lower case, accents stripped, as all-MiniLM-L6-v2", "vocabulary": "vocab.txt", "sha256": hashlib.sha256(vocabulary).hexdigest()},
    }
    save_file(tensors, path, metadata={"format": "pt", "candor": json.dumps(about)})


def load(path):
    """The encoder with the stored weights, in f32."""
    with safe_open(path, "pt") as f:
        stored = {k: f.get_tensor(k) for k in f.keys()}
        about = json.loads(f.metadata()["candor"])
    config = BertConfig(hidden_size=about["width"], num_hidden_layers=about["layers"], num_attention_heads=about["heads"], intermediate_size=about["feed_forward"],
                        layer_norm_eps=about["norm_epsilon"], vocab_size=30522, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    net = M.Truth(config)
    state = {}
    for name, w in stored.items():
        if name.endswith(".scale"):
            continue
        if w.dtype == torch.int8:
            w = w.float() * stored[f"{name}.scale"][:, None]
        state[name if name.split(".")[0] in HEADS else f"trunk.{name}"] = w
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
        _, s, e = M.best_span(out["span"][:, 0], out["span"][:, 1], x)
        rounded = lambda t: [round(float(v), 5) for v in t.flatten()]
        rows.append({"first": first, "second": second, "ids": x["ids"], "types": x["types"], "rank": rounded(out["rank"])[0], "answerable": rounded(out["answerable"])[0],
                     "verdict": rounded(out["verdict"]), "start": rounded(out["span"][base:base + n, 0]), "end": rounded(out["span"][base:base + n, 1]),
                     "unsupported": rounded(out["unsupported"][1:1 + x["first"]]), "best_span": second[x["offsets"][s][0]:x["offsets"][e][1]]})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"tolerance": 2e-3, "pairs": rows}, ensure_ascii=False, indent=1) + "\n")


def main():
    p = argparse.ArgumentParser()
    for flag in ("--state", "--minilm", "--out"):
        p.add_argument(flag, required=True, type=pathlib.Path)
    p.add_argument("--fixture", type=pathlib.Path)
    args = p.parse_args()
    net, tokenizer = M.load(args.minilm)
    M.load_state(net, args.state)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "truth.safetensors"
    write(net.eval(), net.trunk.config, args.minilm, path)
    shutil.copyfile(args.minilm / "vocab.txt", args.out / "vocab.txt")
    back = load(path)
    if args.fixture:
        fixture(back, tokenizer, args.fixture)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
