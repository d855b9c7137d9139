"""The confinement of a program that launch.py starts. collector/symbols/confine.test.ts attacks from inside of Node."""

import os
import subprocess
import sys
import unittest

import seccomp

_HERE = os.path.dirname(os.path.abspath(__file__))


class Program(unittest.TestCase):
    def test_every_system_call_that_is_not_on_its_list_is_refused_to_a_program(self) -> None:
        script = """
import errno, seccomp, sys
from confine import confine_program
from system_calls import system_call
print(confine_program(sys.path, [], []).level)
asked = {seccomp._PRLIMIT, seccomp._IOCTL, seccomp._FCNTL, seccomp._OPENAT, seccomp._MMAP, seccomp._MADVISE}
some = asked | {335, 336}
for number in set(range(1024)) - {*seccomp._ALLOWED.values(), *seccomp._OF_PROGRAMS.values()} - some:
    try:
        print(number, system_call(number, 0, 0, 0, 0, 0, 0))
    except OSError as error:
        if error.errno != errno.EPERM:
            print(number, errno.errorcode[error.errno])
"""
        ended = subprocess.run([sys.executable, "-c", script], cwd=_HERE, capture_output=True, text=True, check=False)
        self.assertEqual((ended.stdout, ended.stderr, ended.returncode), (f"full\n{seccomp._CLONE3} ENOSYS\n", "", 0))

    def test_a_program_may_make_threads_and_signal_them_but_no_process_and_nobody_else(self) -> None:
        script = """
import os, signal, sys, threading
from confine import confine_program
from system_calls import system_call
confine_program(sys.path, [], [])
thread = threading.Thread(target=print, args=["a thread"])
thread.start()
thread.join()
signal.signal(signal.SIGUSR1, lambda *_: print("a signal", flush=True))
signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
for attempt in (os.fork, lambda: system_call(56, 0x10000000 | 0x10000, 0, 0, 0, 0), lambda: system_call(57),
                lambda: system_call(234, os.getppid(), os.getppid(), 0), lambda: os.kill(os.getpid(), 0),
                lambda: os.open("/etc/passwd", os.O_RDONLY), lambda: os.open(os.__file__, os.O_WRONLY),
                lambda: os.execv("/bin/sh", ["sh", "-c", "echo a shell"])):
    try:
        attempt()
        print("done")
    except PermissionError:
        pass
"""
        ended = subprocess.run([sys.executable, "-c", script], cwd=_HERE, capture_output=True, text=True, check=False)
        self.assertEqual((ended.stdout, ended.stderr, ended.returncode), ("a thread\na signal\n", "", 0))


if __name__ == "__main__":
    unittest.main()
