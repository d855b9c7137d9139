"""Five-level paging (LA57), which Volatility 2.28.2 does not know: it would print an empty process list and exit 0."""

from volatility3.framework.layers import intel


class LinuxIntel5Level(intel.LinuxIntel32e):
    """One more table of 512 entries above the four of Intel32e: 57 bits of virtual address.

    The physical width stays at the 46 bits of LinuxIntel32e, for its reason: PROT_NONE entries are stored inverted.
    """

    _maxvirtaddr = 57
    _structure = [("page map layer 5", 9, False), *intel.Intel32e._structure]
