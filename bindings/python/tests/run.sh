#!/usr/bin/env bash
# Builds the wheel, installs it where there is no compiler, and runs the tests against it: run.sh ROOT FOLDER.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
root=$1
folder=$2
. "$root/samples/install-packages.sh"
python=$root/bindings/python
export PIP_DISABLE_PIP_VERSION_CHECK=1
unset TERN_LIBRARY PYTHONPATH
rm -rf "$folder"
mkdir -p "$folder/nothing"

# What pip fetches comes from PyPI; where that cannot be had, Debian's packages stand in.
python3 -m venv "$folder/tools"
system=(python3 -m venv)
isolation=()
if ! "$folder/tools/bin/pip" install -q --retries 1 --timeout 20 pytest mypy >"$folder/pip.log" 2>&1; then
    echo "PyPI is not to be had, so Debian's pytest and setuptools are used, and there is no mypy: $(tail -n 1 "$folder/pip.log")"
    install_missing python3-pytest python3-setuptools python3-wheel
    system=(/usr/bin/python3 -m venv)
    isolation=(--no-build-isolation --no-index)
    rm -rf "$folder/tools"
    "${system[@]}" --system-site-packages "$folder/tools"
else
    # What some tests compare with, or run on; without it they are skipped, and say so.
    "$folder/tools/bin/pip" install -q "paho-mqtt>=2" uvloop >"$folder/pip.log" 2>&1 || tail -n 1 "$folder/pip.log"
fi

echo "== python: the wheel"
"$folder/tools/bin/pip" wheel -q --no-deps "${isolation[@]}" --wheel-dir "$folder/dist" "$python" >"$folder/wheel.log" 2>&1 ||
    { cat "$folder/wheel.log"; exit 1; }
(cd "$folder/dist" && ls -- *.whl)

"${system[@]}" "$folder/clean"
PATH=$folder/nothing "$folder/clean/bin/pip" install -q --no-index "$folder"/dist/*.whl
"$root/samples/with-broker.sh" /usr/bin/env PATH="$folder/nothing" "$folder/clean/bin/python" "$python/tests/smoke.py"

echo "== python: testing"
"$folder/tools/bin/pip" install -q --no-index "$folder"/dist/*.whl
cd "$folder"
timeout 1200 "$folder/tools/bin/python" -m pytest -p no:cacheprovider -W error::pytest.PytestUnraisableExceptionWarning "$python"
