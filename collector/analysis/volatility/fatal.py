"""The one way in which a whole run is given up before any plugin has started."""

from typing import Literal

Reason = Literal[
    "job_rejected",
    "kernel_unknown",
    "symbols_rejected",
    "symbols_mismatch",
    "image_rejected",
    "out_of_memory",
    "crashed",
]

EXIT_STATUS = 3


class Fatal(Exception):
    """Ends the run with one `fatal` line: `reason` is for programs, `detail` a sentence for people."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail
