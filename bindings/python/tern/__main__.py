"""python -m tern: the programs pub, sub and doctor.

SPDX-License-Identifier: Apache-2.0
"""

import sys

from ._commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
