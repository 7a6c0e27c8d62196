#!/usr/bin/env bash
# What one message costs each library: system calls, user instructions, allocations and locks, by the difference
# of two run lengths. Tracing slows time down and so changes batching: the figures are upper bounds.
# Usage: counts.sh [--only REGEX] [--payload BYTES]
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/build.sh"
mkdir -p "$build"
bench_build strace valgrind
exec python3 "$root/test/bench/counts.py" --bin "$bin" "$@"
