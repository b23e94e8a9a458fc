#!/usr/bin/env bash
# Makes a fresh clone ready: system packages, npm packages, native build, compiled TypeScript. Says nothing and takes no
# time when nothing is to be done; `npm test` and `npm run quickstart` call it first.
#
# Missing Debian or Ubuntu packages are installed when that needs no password; else the one command that does it is
# printed. What was built is remembered as a hash of its sources under build/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { echo "setup: $*" >&2; }
fail() {
  say "$*"
  exit 1
}

# sha256 over names and contents of the files of some folders.
hash_of() {
  { node --version && find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum; } | sha256sum | cut -d' ' -f1
}

# fresh STAMP HASH: whether what STAMP remembers is still so.
fresh() { [[ -f $1 && $(<"$1") == "$2" ]]; }

check_node() {
  command -v node >/dev/null || fail "Node.js 20 or newer is needed: https://nodejs.org"
  (($(node -p 'process.versions.node.split(".")[0]') >= 20)) ||
    fail "Node.js 20 or newer is needed, and this is $(node --version): https://nodejs.org"
}

missing_packages() {
  command -v cmake >/dev/null || echo cmake
  command -v make >/dev/null || command -v ninja >/dev/null || echo make
  command -v g++ >/dev/null || echo g++
  [[ -n $(find /usr/include /usr/local/include -maxdepth 2 -name dnnl.hpp -print -quit 2>/dev/null) ]] || echo libdnnl-dev
}

install_packages() {
  local packages=("$@") command="apt-get install -y --no-install-recommends $*"
  command -v apt-get >/dev/null || fail "these are needed: ${packages[*]} (names as Debian has them)"
  local sudo=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null || fail "run this, then try again: sudo apt-get update && sudo $command"
    sudo=(sudo -n)
  fi
  say "installing ${packages[*]}"
  # The lists of a new container are empty; where they are not, the update can be left out.
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive $command >/dev/null 2>&1 ||
    { "${sudo[@]}" apt-get update -qq && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive $command >/dev/null; } ||
    fail "run this, then try again: sudo apt-get update && sudo $command"
}

install_npm_packages() {
  local want stamp=node_modules/.lema-setup
  want=$(hash_of package-lock.json)
  fresh $stamp "$want" && return
  say "installing npm packages"
  npm ci --no-audit --no-fund --loglevel=error >&2
  echo "$want" >$stamp
}

# build NAME HASH COMMAND…: runs the command, showing its output only when it fails.
build() {
  local name=$1 want=$2 log stamp=build/$1.stamp
  shift 2
  fresh "$stamp" "$want" && return
  say "building $name"
  mkdir -p build
  log=build/$name.log
  rm -f "$stamp"
  "$@" >"$log" 2>&1 || { cat "$log" >&2; fail "the $name build failed; its output is above and in $log"; }
  echo "$want" >"$stamp"
}

check_node
mapfile -t missing < <(missing_packages)
((${#missing[@]} == 0)) || install_packages "${missing[@]}"
install_npm_packages
# What a configuration that failed has left behind would fail again.
[[ -f build/native/build.ninja || -f build/native/Makefile ]] || rm -rf build/native
build native "$(hash_of CMakeLists.txt native package-lock.json)" \
  npx cmake-js build --out build/native --parallel "$(nproc)"
build typescript "$(hash_of tsconfig.json tsconfig.build.json scripts/build.ts index.ts \
  package-lock.json schemas planner models data hub workflow runtime chat kaggle cli)" npx tsx scripts/build.ts
