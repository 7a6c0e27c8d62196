#!/usr/bin/env bash
# Python's tests over a library with AddressSanitizer, and in Python's own debug and development modes: python.sh ROOT PYTHON SANITIZED LIBRARY
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
tests=$1/bindings/python
python=$2
sanitized=$3
export PYTHONPATH=$tests TERN_LIBRARY=$4 # the tree's, whatever the interpreter has installed
run=("$python" -m pytest -q -p no:cacheprovider -W error::pytest.PytestUnraisableExceptionWarning "$tests")

# What the interpreter itself never frees is no finding; without a small quarantine the tests of memory's bounds would see that.
echo "== full: Python over a library with AddressSanitizer"
TERN_LIBRARY=$sanitized LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
    ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 PYTHONMALLOC=malloc "${run[@]}"

echo "== full: Python's debug and development modes"
PYTHONMALLOC=debug PYTHONDEVMODE=1 "${run[@]}"
