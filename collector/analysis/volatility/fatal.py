"""The one way in which a whole run is given up."""

from typing import Literal

Reason = Literal[
    "job_rejected",
    "unconfined",
    "kernel_unknown",
    "symbols_rejected",
    "symbols_mismatch",
    "image_rejected",
    "image_unreadable",
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


class ImageUnreadable(BaseException):
    """The collector cannot read the image. No Exception: whatever catches those would go on as if nothing was there."""
