#!/usr/bin/env bash
# Makes or completes .venv at the root of the checkout: make_env.sh demo|dev
# What is installed stands, with hashes, in requirements/NAME.txt. Python is PYTHON, else the first of 3.12, 3.11, 3.13.
set -euo pipefail
cd "$(dirname "$0")/../.."
name=${1:-}
if ! [ -f "requirements/$name.txt" ]; then
  echo "usage: environments/local/make_env.sh demo|dev" >&2
  exit 2
fi

supported() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

choose_python() {
  local candidate
  for candidate in ${PYTHON:-python3.12 python3.11 python3.13 python3 python}; do
    if command -v "$candidate" >/dev/null && supported "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  echo "Kelp needs Python 3.11, 3.12 or 3.13; found: $(${PYTHON:-python3} --version 2>&1 || echo none)." >&2
  echo "Install one of them, or name it: make demo PYTHON=/path/to/python3.12" >&2
  return 1
}

if ! [ -x .venv/bin/python ] || ! supported .venv/bin/python; then
  python=$(choose_python)
  echo "Making .venv with $("$python" --version)"
  rm -rf .venv
  if command -v uv >/dev/null; then
    uv venv -q --python "$python" .venv
  elif ! "$python" -m venv .venv; then
    echo "Python's venv module is incomplete here (on Debian and Ubuntu: apt install python3-venv)." >&2
    exit 1
  fi
fi

if command -v uv >/dev/null; then
  uv=uv
else
  [ -x .venv/bin/uv ] || .venv/bin/python -m pip install -q --disable-pip-version-check uv
  uv=.venv/bin/uv
fi
export VIRTUAL_ENV=$PWD/.venv

case $name in
  demo) echo "Installing the demo's packages (about 250 MB to download the first time, no torch)" ;;
  dev) echo "Installing what tests and training need (torch among it: about 3 GB to download the first time)" ;;
esac
# Byte-compiling here is what makes every later start two to three times faster.
"$uv" pip install -q --compile-bytecode --require-hashes -r "requirements/$name.txt"
"$uv" pip install -q --no-deps --no-build-isolation -e .
touch ".venv/.$name"
