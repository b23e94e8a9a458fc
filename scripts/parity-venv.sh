#!/usr/bin/env bash
# Creates or updates .venv, the Python environment of the parity suite. Does nothing when it is already what
# test/parity/requirements.txt asks for: the file's hash is kept in a stamp. Prints the path of its python.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-python3}
requirements=test/parity/requirements.txt
stamp=.venv/parity-stamp
wanted="$("$python" -c 'import sys; print(sys.version)') $(sha256sum <"$requirements")"

if [[ ! -x .venv/bin/python || ! -f $stamp || "$(cat "$stamp")" != "$wanted" ]]; then
  rm -f "$stamp"
  "$python" -m venv --clear .venv || {
    echo "parity-venv: python3 cannot make a virtual environment; on Debian/Ubuntu: apt-get install -y python3-venv" >&2
    exit 1
  }
  pip=(.venv/bin/python -m pip install --no-compile --quiet --progress-bar off --disable-pip-version-check)
  # torch first and alone: what follows then finds its requirement satisfied and pulls no other build.
  "${pip[@]}" "$(grep '^torch==' "$requirements")" >&2
  "${pip[@]}" -r "$requirements" >&2
  printf '%s\n' "$wanted" >"$stamp"
fi
echo .venv/bin/python
