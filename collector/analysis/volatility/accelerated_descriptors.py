"""Open files of Volatility 2.28.2: stock makes an object of each place in a table of descriptors, of which most are free."""

from collections.abc import Iterator
from typing import Any

from volatility3.framework import constants, contexts, exceptions
from volatility3.framework.objects import utility
from volatility3.framework.symbols.linux import LinuxUtilities

_MOST_DESCRIPTORS = 500_000
_PLACES_OF_PAGE, _POINTER_BYTES = 512, 8


def _open_files(
    utilities: type[LinuxUtilities], context: contexts.Context, symbol_table: str, task: Any, files_only: bool = False
) -> Iterator[tuple[int, Any, str]]:
    try:
        files = task.files
        table = files.get_fds()
        if table == 0:
            return
        count = files.get_max_fds()
    except exceptions.InvalidAddressException:
        return
    if count > _MOST_DESCRIPTORS:
        return
    file_type = symbol_table + constants.BANG + "file"
    places = utility.array_of_pointers(table, count=count, subtype=file_type, context=context)
    for number in _taken(context.layers[places.vol.layer_name], int(places.vol.offset), int(count)):
        file = places[number]
        if file and file.is_readable():
            yield number, file, LinuxUtilities.path_for_file(context, task, file, files_only)


def _taken(layer: Any, offset: int, count: int) -> Iterator[int]:
    """Places that are not free, and those that cannot be read: to read one of these raises what it does in stock."""
    for first in range(0, count, _PLACES_OF_PAGE):
        length = min(_PLACES_OF_PAGE, count - first)
        try:
            data = layer.read(offset + first * _POINTER_BYTES & layer.address_mask, length * _POINTER_BYTES)
        except exceptions.InvalidAddressException:
            yield from range(first, first + length)
            continue
        yield from (first + at for at, pointer in enumerate(memoryview(data).cast("Q")) if pointer)


PATCHES: tuple[tuple[Any, str, Any], ...] = (
    (LinuxUtilities, "files_descriptors_for_process", classmethod(_open_files)),
)
