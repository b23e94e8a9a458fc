#!/usr/bin/env bash
# `npm run pack:gpu [-- FILE]`: an archive for a GPU machine without a network, at most 60 MB: the committed sources, Node, and
# the npm packages that building, testing and timing need. There: tar xf lema-gpu.tar.xz && bash lema-gpu/bench/cuda/run.sh
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
# Quick rather than smallest: the next step up takes minutes and saves little.
tar c -C "$stage" lema-gpu | xz -T2 -2 >"$out"
bytes=$(stat -c %s "$out")
echo "$out: $((bytes / 1000 / 1000)) MB"
((bytes <= limit)) || {
  echo "pack-gpu: more than $((limit / 1000 / 1000)) MB" >&2
  exit 1
}
