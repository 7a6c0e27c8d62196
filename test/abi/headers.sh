#!/bin/sh
# Each public header compiles alone, as C99 and as C++11; flags are put together without a warning also in C++20.
# SPDX-License-Identifier: Apache-2.0
include=$1
status=0
for header in "$include"/tern/*.h; do
    ${CC:-cc} -std=c99 -pedantic -Wall -Wextra -Werror -fsyntax-only -I"$include" -x c "$header" || status=1
    ${CXX:-c++} -std=c++11 -pedantic -Wall -Wextra -Werror -fsyntax-only -I"$include" -x c++ "$header" || status=1
done
echo 'unsigned flags = TERN_QOS_2 | TERN_RETAIN, options = TERN_QOS_1 | TERN_NO_LOCAL;' |
    ${CXX:-c++} -std=c++20 -pedantic -Wall -Wextra -Werror -fsyntax-only -I"$include" -include tern/types.h -x c++ - || status=1
exit $status
