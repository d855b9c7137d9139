"""Analyses one memory image: `run.py WORKERS`. What is told comes as JSON, logs go to stderr.

On stdin two lines, the first of which tells what to prepare (job.py) and can come long before the second, the job. On
stdout `confined`, `ready`, `worker` for each that is started, and `done`. The workers read the image, and have a slot
each to be told plugins and to tell rows: slots.py.

Exit status: 0 when the collector had no more for the workers to do, 3 after a `fatal` line.
"""

import dataclasses
import logging
import os
import sys

from confine import Confinement, confine, confine_to_python, set_limits, take_stdout
from process_end import run_to_end
from fatal import Fatal
from job import Image, Job, Preparation, parse_job, parse_preparation
from lines import Lines
from slots import Slot, copy_behind, serve_slots
from worker import confine_and_tell, enter, tell, told_plugins


def main(workers: int) -> int:
    lines = Lines(take_stdout(copy_behind(workers) + 1))
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    return run_to_end(lines, lambda: _run(workers, lines))


def _run(workers: int, lines: Lines) -> None:
    preparation = parse_preparation(sys.stdin.buffer.readline())
    _prepare(preparation)
    # Not before: Volatility reads its cache folder from the environment when it is imported.
    from analyse import analyse, load, versions
    from symbols import load_symbols

    load(preparation.plugins, preparation.accelerated)
    reached = _confine(preparation, lines)
    symbols = load_symbols(preparation.isf_path, preparation.isf_sha256)
    lines.write({"type": "ready"})
    told = sys.stdin.buffer.readline()
    if not told:
        return  # the collector needs no analysis any more
    job = parse_job(told)
    image = _open(job.image, workers)
    _narrow(reached)
    parent = os.getpid()

    def work(slot: Slot) -> int:
        own_lines, own_image = enter(slot, image, parent)

        def analyse_all() -> None:
            _confine_worker(reached, own_lines, preparation)
            analyse(symbols, dataclasses.replace(job, image=own_image), told_plugins(slot.turn), own_lines)

        return run_to_end(own_lines, analyse_all)

    serve_slots(workers, lines, work)
    lines.write({"type": "done", "versions": versions()})


def _prepare(preparation: Preparation) -> None:
    os.makedirs(preparation.cache_dir, mode=0o700, exist_ok=True)
    os.environ["XDG_CACHE_HOME"] = preparation.cache_dir
    set_limits(preparation.memory_bytes, preparation.file_bytes)


def _confine(preparation: Preparation, lines: Lines) -> Confinement:
    """The parent. Raises Fatal(unconfined)."""
    reached = confine([preparation.isf_path, preparation.images])
    tell(reached, lines, preparation.must_be_confined)
    return reached


def _open(image: Image, workers: int) -> Image:
    """Reads nothing of it. Raises Fatal(image_rejected)."""
    if image.kind == "ranges":
        return dataclasses.replace(image, kept_bytes=image.kept_bytes // workers, copy=copy_behind(workers))
    try:
        return dataclasses.replace(image, descriptor=os.open(image.path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError as error:
        raise Fatal("image_rejected", f"The image cannot be opened: {error.strerror}.") from error


def _narrow(reached: Confinement) -> None:
    confine_to_python(reached)


def _confine_worker(reached: Confinement, lines: Lines, preparation: Preparation) -> None:
    confine_and_tell(reached, lines, preparation.must_be_confined)


if __name__ == "__main__":
    status = main(int(sys.argv[1]))
    sys.stderr.flush()
    os._exit(status)  # every line is flushed; freeing millions of objects one by one would take another second
