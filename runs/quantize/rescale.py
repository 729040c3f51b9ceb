"""Gives a GGUF in F32 other weights that compute the same function.

Models at hand are quantized already, so their weights lie on a grid, and whoever hits on that grid again looks better than
they are. Here the columns of every matrix but the embeddings are scaled by random factors (e^±0.3), which the norms, the
rows of values and the rows of ffn_up before them take back. Perplexity stays what it was and the grid is gone.

    pip install gguf numpy
    python3 rescale.py IN.gguf OUT.gguf --heads 9 --kv-heads 3 --seed 1
"""

import argparse
import shutil

import numpy as np
from gguf import GGUFReader


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--heads", type=int, required=True, help="query heads")
    parser.add_argument("--kv-heads", type=int, required=True, help="key/value heads")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    shutil.copy(options.source, options.target)
    random = np.random.default_rng(options.seed)
    reader = GGUFReader(options.target, "r+")
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    layers = len({name.split(".")[1] for name in tensors if name.startswith("blk.")})

    def factors(count):
        return np.exp(random.uniform(-0.3, 0.3, count)).astype(np.float32)

    for layer in range(layers):
        def weight(name):
            return tensors[f"blk.{layer}.{name}.weight"]

        for norm, readers in (("attn_norm", ("attn_q", "attn_k", "attn_v")), ("ffn_norm", ("ffn_gate", "ffn_up"))):
            scale = factors(weight(norm).shape[0])
            weight(norm)[:] /= scale
            for name in readers:
                weight(name)[:] *= scale
        value = weight("attn_v")
        scale = factors(value.shape[0])
        value /= scale[:, None]
        by_head = scale.reshape(options.kv_heads, -1)
        shared = options.heads // options.kv_heads
        weight("attn_output")[:] *= np.concatenate([by_head[head // shared] for head in range(options.heads)])
        up = weight("ffn_up")
        scale = factors(up.shape[0])
        up /= scale[:, None]
        weight("ffn_down")[:] *= scale
    reader.data.flush()


if __name__ == "__main__":
    main()
