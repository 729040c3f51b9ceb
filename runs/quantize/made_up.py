"""Makes a llama model with weights drawn at random, in F16: for timing formats whose blocks need rows of 256 weights, which
the models at hand have in few tensors. It computes nonsense, as fast as a real one would.

    pip install gguf numpy
    python3 made_up.py TOKENIZER.gguf OUT.gguf --seed 1

The tokenizer is taken from another llama GGUF, since programs ask for one.
"""

import argparse

import numpy as np
from gguf import GGUFReader, GGUFValueType, GGUFWriter

DIM, FEED_FORWARD, LAYERS, HEADS, KV_HEADS = 1024, 2816, 12, 16, 4


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tokenizer")
    parser.add_argument("target")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    fields = GGUFReader(options.tokenizer).fields
    writer = GGUFWriter(options.target, "llama")
    for name, field in fields.items():
        if name.startswith("tokenizer."):
            kind = field.types[0]
            of = field.types[-1] if kind == GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), kind, of)
    vocab = len(fields["tokenizer.ggml.tokens"].contents())
    writer.add_name("made up")
    writer.add_context_length(4096)
    writer.add_embedding_length(DIM)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(DIM // HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(vocab)
    writer.add_file_type(1)

    def matrix(name, rows, cols):
        weights = random.standard_normal((rows, cols), dtype=np.float32) / np.sqrt(cols)
        writer.add_tensor(f"{name}.weight", weights.astype(np.float16))

    def norm(name):
        writer.add_tensor(f"{name}.weight", np.ones(DIM, dtype=np.float32))

    kv = DIM // HEADS * KV_HEADS
    matrix("token_embd", vocab, DIM)
    norm("output_norm")
    for layer in range(LAYERS):
        at = f"blk.{layer}"
        norm(f"{at}.attn_norm")
        norm(f"{at}.ffn_norm")
        for name, rows, cols in (
            ("attn_q", DIM, DIM),
            ("attn_k", kv, DIM),
            ("attn_v", kv, DIM),
            ("attn_output", DIM, DIM),
            ("ffn_gate", FEED_FORWARD, DIM),
            ("ffn_up", FEED_FORWARD, DIM),
            ("ffn_down", DIM, FEED_FORWARD),
        ):
            matrix(f"{at}.{name}", rows, cols)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
