#!/bin/sh
# finish.sh DIR: what no process reads is taken away, and everything is byte-compiled.
set -eu
dir=$1
find "$dir" -type d \( -name __pycache__ -o -path '*/numpy/*/tests' -o -path '*/scipy/*/tests' \
  -o -path '*/kubernetes/aio' \) -prune -exec rm -rf {} +
find "$dir" -name '*.pyi' -delete
# Hashes instead of times, unchecked: what a copy or a lazily pulled layer does to a file's time voids nothing.
# A package may carry files of another Python, which do not compile and are never imported.
python3 -m compileall -q -q -j 0 --invalidation-mode unchecked-hash "$dir" || true
