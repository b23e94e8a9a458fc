#!/usr/bin/env bash
# Builds, checks and times the CUDA backend on a machine with a GPU, in one go and without a network:
#
#   bash bench/cuda/run.sh [results.json] [--minutes 9] [--parts check,time,kernels,p100,t4,sanitize]
#
# Needs the CUDA toolkit (12 or newer), CMake and g++. Node and the npm packages come from the archive that
# `npm run pack:gpu` makes; in a clone that is set up, from there. Python with torch, transformers and peft is used
# where it is. What each step said and how long it took is in the results, also when a step fails.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[[ -x ./node/bin/node ]] && PATH="$PWD/node/bin:$PATH"
command -v node >/dev/null || {
  echo "run.sh: there is no node; use the archive of \`npm run pack:gpu\`" >&2
  exit 1
}
exec node --import tsx bench/cuda/run.ts "$@"
