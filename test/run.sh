#!/usr/bin/env bash
# Installs what is missing, builds, runs every test, and prints ctest's summary.
# Usage: test/run.sh [--quick | --full | --lane NAME]...   lanes: main, asan, tsan, clang, install, docs, python; full
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/samples/install-packages.sh"
builds=${TERN_BUILD_DIR:-$root/build}
jobs=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
usual=(main asan tsan clang install docs python)
lanes=()

while [ $# -gt 0 ]; do
    case "$1" in
    --quick) lanes+=(main) ;;
    --full) lanes+=("${usual[@]}" full) ;;
    --lane) lanes+=("$2"); shift ;;
    *) sed -n '2,3s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
    esac
    shift
done
[ ${#lanes[@]} -gt 0 ] || lanes=("${usual[@]}")

install_missing gcc g++ libc6-dev cmake ninja-build pkg-config libssl-dev zlib1g-dev libcjson-dev openssl libcmocka-dev python3-paho-mqtt mosquitto mosquitto-clients tinyproxy microsocks \
    nginx curl util-linux python3 python3-venv clang

# build NAME [CMAKE-OPTION...]: configures and builds in a folder of its own.
build() {
    local name=$1
    shift
    echo "== $name: building"
    cmake -S "$root" -B "$builds/$name" -G Ninja -DTERN_WERROR=ON "$@" >"$builds/$name.log" 2>&1 ||
        { cat "$builds/$name.log"; return 1; }
    cmake --build "$builds/$name" -j "$jobs" >"$builds/$name.log" 2>&1 || { cat "$builds/$name.log"; return 1; }
}

# check NAME [CTEST-OPTION...]: runs the tests of a build; ctest prints its summary.
check() {
    local name=$1
    shift
    echo "== $name: testing"
    ctest --test-dir "$builds/$name" --output-on-failure -j "$jobs" "$@"
}

lane_main() {
    build main
    check main
}

lane_asan() {
    build asan -DTERN_SANITIZE=address,undefined
    UBSAN_OPTIONS=print_stacktrace=1 LSAN_OPTIONS="suppressions=$root/test/lsan.supp" check asan
}

lane_tsan() {
    build tsan -DTERN_SANITIZE=thread
    TSAN_OPTIONS="suppressions=$root/test/tsan.supp" check tsan -R '^(unit\.(platform|client|transport)|net|interop|samples)'
}

lane_clang() {
    CC=clang build clang
}

lane_install() {
    install_missing libzstd-dev # for linking statically: from Debian 13 on libcrypto.pc asks for it, and libssl-dev does not bring it
    build release -DCMAKE_BUILD_TYPE=Release -DTERN_TESTS=OFF
    echo "== install: the installed package"
    "$root/test/abi/installed.sh" "$root" "$builds/release" "$builds/install"
}

lane_docs() {
    install_missing doxygen
    echo "== docs: the reference"
    "$root/test/docs/reference.sh" "$root" "$builds/docs"
}

lane_python() {
    "$root/bindings/python/tests/run.sh" "$root" "$builds/python"
}

# What needs more than Debian's stable packages; where that cannot be had it is skipped, and says why.
lane_full() {
    local status=0
    build main
    build asan -DTERN_SANITIZE=address,undefined
    [ -x "$builds/python/tools/bin/pytest" ] || lane_python
    "$root/test/full/python.sh" "$root" "$builds/python/tools/bin/python" "$builds/asan/lib/libtern.so" "$builds/main/lib/libtern.so"
    echo "== full: a client's key in a token"
    "$root/test/full/pkcs11.sh" "$root" "$builds/main/samples" "$builds/pkcs11" || status=$?
    [ "$status" -eq 0 ] || [ "$status" -eq 77 ]
    echo "== full: nodes of a RabbitMQ cluster are killed under load"
    install_missing rabbitmq-server
    TERN_LIBRARY="$builds/main/lib/libtern.so" PYTHONPATH="$root/bindings/python" python3 "$root/test/full/rabbitmq.py" "$builds/rabbitmq"
}

mkdir -p "$builds"
for lane in "${lanes[@]}"; do
    "lane_$lane"
done
echo "all lanes passed: ${lanes[*]}"
