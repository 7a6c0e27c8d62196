#!/usr/bin/env bash
# Builds the benchmarks and measures compression on telemetry; prints a table.
# Usage: compress.sh [SECONDS for each figure, default 1]
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/build.sh"
mkdir -p "$build"
bench_build
[[ -x $bin/bench_compress ]] || { echo "compress.sh: bench_compress was not built: zlib is missing" >&2; exit 1; }
exec "$bin/bench_compress" "$@"
