#!/usr/bin/env bash
# The sanitizer run-time libraries that have to be loaded before Python, separated by spaces.
set -euo pipefail
compiler=${CXX:-c++}
for lib in asan ubsan stdc++; do
    "$compiler" -print-file-name="lib$lib.so"
done | tr '\n' ' '
