#!/bin/sh
# The library exports what the golden list names, and the headers declare the same.
# Usage: symbols.sh LIBRARY INCLUDE LIST
# SPDX-License-Identifier: Apache-2.0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
LC_ALL=C
export LC_ALL
nm -D --defined-only "$1" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort >"$scratch/exported"
cat "$2"/tern/*.h | tr '\n' ' ' | grep -o 'TERN_API [^;]*' | sed 's/(.*//; s/.*[ *]//' | grep '^tern_' | sort >"$scratch/declared"
status=0
diff -u "$3" "$scratch/exported" || { echo "exported symbols differ from $3"; status=1; }
diff -u "$3" "$scratch/declared" || { echo "declared functions differ from $3"; status=1; }
exit $status
