"""Takes the place of a program that reads what an attacker may have written: `launch.py FILES PROGRAM ARGUMENT…`.

FILES is JSON: the files that the program may `read` (or whole folders), and those that it may `write`, which are there.
"""

import json
import os
import shutil
import sys

from confine import close_descriptors, confine_program, limit_descriptors

_FIRST_UNKNOWN, _NOT_FOUND = 3, 127
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/etc/ssl/openssl.cnf")
_LOADER = "/lib64/ld-linux-x86-64.so.2"


def main() -> None:
    files = json.loads(sys.argv[1])
    program = shutil.which(sys.argv[2])
    if program is None:
        sys.exit(_NOT_FOUND)
    close_descriptors(_FIRST_UNKNOWN)
    limit_descriptors()
    confine_program([*_LIBRARIES, *files["read"]], files["write"], [program, _LOADER])
    os.execv(program, [program, *sys.argv[3:]])


if __name__ == "__main__":
    main()
