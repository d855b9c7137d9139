"""When the banner of a kernel is the one that a node told: the rule of collector/symbols/same-kernel.ts."""

import re

_PRINTABLE = re.compile(r"[ -~]*")
# Up to the version, which begins with "#"; the first one decides, so that no banner takes long to read.
_PROC_VERSION = re.compile(r"Linux version [!-~]+ \([ -~]*?\) #[!-~]")
# Ubuntu's CONFIG_VERSION_SIGNATURE, which its init/version.c adds to linux_banner and not to /proc/version.
_ONE_GROUP = re.compile(r" \([ -'*-~]{1,128}\)")


def is_banner_of(linux_banner: str, proc_version: str) -> bool:
    """Returns True when they are equal and not empty, or the former has one more group in parentheses at its end."""
    if linux_banner == proc_version:
        return proc_version != ""
    if not linux_banner.startswith(proc_version) or not _PRINTABLE.fullmatch(proc_version):
        return False
    if not _PROC_VERSION.match(proc_version):
        return False
    return _ONE_GROUP.fullmatch(linux_banner[len(proc_version) :]) is not None
