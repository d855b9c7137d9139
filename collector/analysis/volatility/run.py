"""Analyses one memory image. A job as JSON on stdin, lines of JSON on stdout, logs on stderr.

Exit status: 0 when every plugin came to an end (each with its own state), 3 after a `fatal` line.
"""

import logging
import os
import sys

from confine import confine, confine_worker, set_limits, take_stdout
from fatal import EXIT_STATUS, Fatal, ImageUnreadable
from job import Job, parse_job
from lines import Lines, OutputLost


def main() -> int:
    lines = Lines(take_stdout())
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    fatal = None
    try:
        job = parse_job(sys.stdin.buffer.read())
        _prepare(job)
        # Not before: Volatility reads its cache folder from the environment when it is imported.
        from analyse import analyse, load_plugins

        load_plugins(job)
        _confine(job, lines)
        analyse(job, lines)
        return 0
    except Fatal as error:
        fatal = error
    except ImageUnreadable as error:
        fatal = Fatal("image_unreadable", f"The image cannot be read: {error}.")
    except OutputLost as error:
        logging.error("the lines cannot be written: %s", error)
        return 1
    except MemoryError:
        fatal = Fatal("out_of_memory", "The memory limit is too low for an analysis.")
    except Exception as error:
        logging.exception("the run")
        fatal = Fatal("crashed", f"{type(error).__name__}: {error}"[:500])
    try:
        lines.write({"type": "fatal", "reason": fatal.reason, "detail": fatal.detail})
    except OutputLost as error:
        logging.error("%s: %s (and the line cannot be written: %s)", fatal.reason, fatal.detail, error)
    return EXIT_STATUS


def _prepare(job: Job) -> None:
    os.makedirs(job.cache_dir, mode=0o700, exist_ok=True)
    os.environ["XDG_CACHE_HOME"] = job.cache_dir
    set_limits(job.memory_bytes, job.file_bytes)


def _confine(job: Job, lines: Lines) -> None:
    """Nothing of an image has been read before. Raises Fatal(unconfined)."""
    reached = confine_worker(confine([job.isf_path]))
    lines.write(
        {
            "type": "confined",
            "level": reached.level,
            "landlockAbi": reached.landlock_abi,
            "seccomp": reached.seccomp,
        }
    )
    if job.must_be_confined and reached.level != "full":
        parts = {"Landlock": reached.landlock_abi, "seccomp": reached.seccomp}
        lacking = [name for name, here in parts.items() if not here]
        raise Fatal("unconfined", f"This machine confines an analysis without {' and '.join(lacking)}, not in full.")


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # every line is flushed; freeing millions of objects one by one would take another second
