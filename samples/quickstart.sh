#!/usr/bin/env bash
# Installs what is missing, builds Tern, and runs its main job against Debian's mosquitto on a free loopback port:
# quickstart.sh [--tls | --wss], over plain TCP, over TLS, or over WebSocket in TLS with certificates of its own.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
way=${1:-}
case "$way" in
'' | --tls | --wss) ;;
*)
    echo "usage: quickstart.sh [--tls | --wss]" >&2
    exit 2
    ;;
esac
. "$root/samples/install-packages.sh"
install_missing gcc libc6-dev cmake ninja-build pkg-config libssl-dev zlib1g-dev libcjson-dev openssl mosquitto

build=${TERN_BUILD_DIR:-$root/build}/quickstart
echo "building in $build"
cmake -S "$root" -B "$build" -G Ninja -DTERN_TESTS=OFF >/dev/null
cmake --build "$build" --target quickstart

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
[ -z "$way" ] || "$root/samples/make-certificates.sh" "$scratch"
mosquitto=$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v mosquitto)
"$build/samples/quickstart" "$mosquitto" "$scratch" $way
