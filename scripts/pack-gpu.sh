#!/usr/bin/env bash
# `npm run pack:gpu [-- FILE]`: an archive for a GPU machine without a network, at most 60 MB: the committed sources, Node, and
# the npm packages that building, testing and timing need, and where CUDA 12 can be had the P100's object. There: tar xf lema-gpu.tar.xz && bash lema-gpu/bench/cuda/run.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly limit=$((60 * 1000 * 1000))
out=${1:-lema-gpu.tar.xz}
# Of no use there: formatters, editors, browsers, other runtimes' clients.
excluded=(@biomejs @typescript typescript prettier playwright-core yaml-language-server ts-morph @ts-morph openai @microsoft)

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$stage/lema-gpu/node/bin"
git archive HEAD | tar x -C "$stage/lema-gpu"
cp "$(node -p process.execPath)" "$stage/lema-gpu/node/bin/node"
tar c "${excluded[@]/#/--exclude=node_modules/}" node_modules | tar x -C "$stage/lema-gpu"
# The P100's kernels, for a device whose own toolkit no longer compiles them; its driver does, from the PTX in them.
if nvcc=$(bash scripts/cuda-toolkit.sh 12); then
  cmake -S "$stage/lema-gpu/native/cuda/device" -B "$stage/p100" -DLEMA_CUDA_ARCHITECTURES=60 -DLEMA_NVCC="$nvcc" >/dev/null
  cmake --build "$stage/p100" --parallel "$(nproc)" >"$stage/p100.log" 2>&1 || { cat "$stage/p100.log" >&2; exit 1; }
  for file in bin/lema_op_suite_cuda Release/lema_cuda.so; do
    install -D "$stage/p100/$file" "$stage/lema-gpu/build/cuda-12/$file"
  done
fi
# Quick rather than smallest: the next step up takes minutes and saves little.
tar c -C "$stage" lema-gpu | xz -T2 -2 >"$out"
bytes=$(stat -c %s "$out")
echo "$out: $((bytes / 1000 / 1000)) MB"
((bytes <= limit)) || {
  echo "pack-gpu: more than $((limit / 1000 / 1000)) MB" >&2
  exit 1
}
