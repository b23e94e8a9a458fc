#!/usr/bin/env bash
# Installs llama.cpp for Node into a folder of its own, for the tests that load what `lema export` writes: the package
# without its install scripts and without the builds for other machines. Does nothing when it is there.
# Prints the folder. Exit code 1 where npm cannot fetch it or there is no build for this machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=3.22.1
folder=scratch/llama-cpp
binary=@node-llama-cpp/linux-x64
if [[ "$(uname -sm)" != "Linux x86_64" ]]; then
  echo "llama-cpp: there is a pinned build for Linux x86_64 only" >&2
  exit 1
fi
if [[ "$(cat "$folder/stamp" 2>/dev/null)" != "$version" ]]; then
  rm -rf "$folder"
  mkdir -p "$folder"
  echo '{"private": true}' >"$folder/package.json"
  npm=(npm install --prefix "$folder" --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error)
  "${npm[@]}" "node-llama-cpp@$version" "$binary@$version" >&2
  echo "$version" >"$folder/stamp"
fi
echo "$folder"
