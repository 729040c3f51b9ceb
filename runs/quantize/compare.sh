#!/usr/bin/env bash
# Perplexity of `candor quantize` beside llama-quantize, from the same F32 file, both read with Candor:
#   runs/quantize/compare.sh MODEL-F32.gguf TEXT LLAMA_QUANTIZE FORMAT...
# Two lines per format: perplexity, windows, file. Needs `make build` and
# `cargo build --release -p candor-model --example perplexity`.
set -euo pipefail
model=$1 text=$2 llama=$3
shift 3
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for format in "$@"; do
    "$root/target/release/candor" quantize "$model" "$work/candor-$format.gguf" --to "$format" >&2
    "$llama" "$model" "$work/llama.cpp-$format.gguf" "$format" >/dev/null 2>&1
    "$root/target/release/examples/perplexity" "$text" "$work/candor-$format.gguf" "$work/llama.cpp-$format.gguf"
    rm "$work"/*.gguf
done
