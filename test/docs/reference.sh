#!/usr/bin/env bash
# Builds the reference with Doxygen; fails on its first warning, and where a public function is missing from it.
# Usage: reference.sh SOURCE OUTPUT
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
source=$(cd "$1" && pwd)
mkdir -p "$2"
output=$(cd "$2" && pwd)
version=$(sed -n 's/^project(Tern VERSION \([0-9.]*\).*/\1/p' "$source/CMakeLists.txt")
sed "s|@source@|$source|g; s|@output@|$output|; s|@version@|$version|" "$source/docs/Doxyfile.in" >"$output/Doxyfile"
rm -rf "$output/html"
doxygen "$output/Doxyfile"
status=0
while read -r symbol; do
    grep -q "<name>$symbol</name>" "$output/tern.tag" || { echo "$symbol is missing from the reference"; status=1; }
done <"$source/test/abi/symbols.txt"
exit $status
