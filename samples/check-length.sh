#!/bin/sh
# A sample fits on a page: each has fewer than 80 lines.
# SPDX-License-Identifier: Apache-2.0
cd "$(dirname "$0")" || exit 1
status=0
for sample in *.c; do
    lines=$(wc -l <"$sample")
    [ "$lines" -lt 80 ] || { echo "$sample has $lines lines"; status=1; }
done
exit "$status"
