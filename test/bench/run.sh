#!/usr/bin/env bash
# Builds the benchmarks and runs all libraries through the same work; prints the table and draws it.
# Usage: run.sh [--quick] [--only REGEX] [--repeat N] [--json FILE] [--svg FILE]
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/build.sh"
mkdir -p "$build"
bench_build
exec python3 "$root/test/bench/bench.py" --bin "$bin" "$@"
