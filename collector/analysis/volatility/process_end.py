"""How a process of ours ends: with what it did, or with one `fatal` line that says why not."""

import logging
from collections.abc import Callable

from fatal import EXIT_STATUS, Fatal, ImageUnreadable
from lines import Lines, OutputLost


def run_to_end(lines: Lines, work: Callable[[], None]) -> int:
    """Returns the exit status. Never raises."""
    try:
        work()
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
