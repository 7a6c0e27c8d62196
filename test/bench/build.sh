# Sourced: installs what the benchmarks need and builds them; sets `bin`, where their programs are.
# SPDX-License-Identifier: Apache-2.0
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${TERN_BENCH_BUILD:-$root/build/bench}
bin=$build/test/bench

bench_build()
{
    . "$root/samples/install-packages.sh"
    install_missing cmake ninja-build gcc pkg-config python3 util-linux libssl-dev zlib1g-dev libcjson-dev libmosquitto-dev libpaho-mqtt-dev "$@"
    cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DTERN_BENCH=ON -DTERN_TESTS=OFF \
        -DTERN_SAMPLES=OFF -DTERN_TOOLS=OFF > "$build.log" 2>&1 || { cat "$build.log" >&2; return 1; }
    cmake --build "$build" > "$build.log" 2>&1 || { cat "$build.log" >&2; return 1; }
}
