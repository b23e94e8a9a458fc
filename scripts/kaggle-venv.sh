#!/usr/bin/env bash
# Creates or updates the Python environment that judges notebooks (test/kaggle/requirements.txt), apart from all others.
# Does nothing when it is there. Prints the path of its python.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=scratch/kaggle-venv
requirements=test/kaggle/requirements.txt
wanted=$(sha256sum <"$requirements")
if [[ ! -x $folder/bin/python || "$(cat "$folder/stamp" 2>/dev/null)" != "$wanted" ]]; then
  "${PYTHON:-python3}" -m venv --clear "$folder"
  "$folder/bin/python" -m pip install --no-compile --quiet --progress-bar off --disable-pip-version-check -r "$requirements" >&2
  printf '%s\n' "$wanted" >"$folder/stamp"
fi
echo "$folder/bin/python"
