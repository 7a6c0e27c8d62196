#!/usr/bin/env bash
# Builds libtern and the sink, gets the libraries to compare with, and measures: run.sh [--repeat N] [--only REGEX] [--pin] [--json FILE]
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../../test/bench/build.sh"
mkdir -p "$build"
bench_build python3-venv libmosquitto1
venv=$build/python
python3 -m venv "$venv"
if ! "$venv/bin/pip" install -q --retries 1 --timeout 20 --disable-pip-version-check "paho-mqtt>=2" aiomqtt > "$venv/pip.log" 2>&1; then
    echo "PyPI is not to be had, so Debian's paho-mqtt stands in and there is no aiomqtt: $(tail -n 1 "$venv/pip.log")"
    install_missing python3-paho-mqtt
    /usr/bin/python3 -m venv --clear --system-site-packages "$venv"
fi
export TERN_LIBRARY=$build/lib/libtern.so PYTHONPATH=$here/..
exec "$venv/bin/python" "$here/bench.py" "$bin/bench_sink" "$@"
