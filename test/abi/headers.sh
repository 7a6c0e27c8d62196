#!/bin/sh
# Each public header compiles alone, as C99 and as C++11.
# SPDX-License-Identifier: Apache-2.0
include=$1
status=0
for header in "$include"/tern/*.h; do
    ${CC:-cc} -std=c99 -pedantic -Wall -Wextra -Werror -fsyntax-only -I"$include" -x c "$header" || status=1
    ${CXX:-c++} -std=c++11 -pedantic -Wall -Wextra -Werror -fsyntax-only -I"$include" -x c++ "$header" || status=1
done
exit $status
