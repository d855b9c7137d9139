"""In a copy of an image takes a module and processes off the kernel's lists, as those that hide themselves do; and tears
the list of tasks behind the first few, as happens when tasks end while memory is read. Prints as JSON the `module` by its
name and the processes by their PIDs: `poisoned`, taken off as the kernel does it; `bridged`, with their own links as they
were; `unnumbered`, taken off the table of PIDs.

alter-image.py VOLATILITY_DIR IMAGE < job, where VOLATILITY_DIR is collector/analysis/volatility.
"""

import json
import os
import sys
from typing import Any

sys.path.insert(0, sys.argv[1])

from job import Image, Job  # noqa: E402
from kernel import open_kernel  # noqa: E402
from memory import follow_list, read_string  # noqa: E402
from pid_table import entry_of  # noqa: E402
from symbols import load_symbols  # noqa: E402

job = json.load(sys.stdin)
image_path = sys.argv[2]
image = Image("lime", descriptor=os.open(image_path, os.O_RDONLY))
symbols = load_symbols(job["isfPath"], job["isfSha256"])
kernel = open_kernel(symbols, Job(image, job["vmcoreinfo"], job["banner"]))
# Set in an address of the kernel, and not looked at by its page tables.
beyond = (1 << 64) - 1 - kernel.layer.address_mask
module_type = kernel.module.get_type("module")
nodes = follow_list(kernel.layer, kernel.module.object_from_symbol("modules").vol.offset).nodes
before, hidden, after = nodes[2:5]


def write(address: int, value: int) -> None:
    """Writes to where the image's file has this address of the kernel."""
    [(_, _, physical, _, memory)] = kernel.layer.mapping(address, 8)
    [(_, _, in_file, _, _)] = kernel.context.layers[memory].mapping(physical, 8)
    with open(image_path, "r+b") as file:
        file.seek(in_file)
        file.write(value.to_bytes(8, "little"))


def bridge(before: int, after: int) -> None:
    """What list_del() does to the neighbors of what it takes off."""
    write(before, after | beyond)
    write(after + 8, before | beyond)


def poison(at: int) -> None:
    """What list_del() does to what it takes off."""
    write(at, 0xDEAD000000000100)
    write(at + 8, 0xDEAD000000000122)


bridge(before, after)
module = kernel.object("module", hidden - module_type.relative_child_offset("list"))

task_type = kernel.module.get_type("task_struct")
tasks = kernel.module.object_from_symbol("init_task").member("tasks").vol.offset
links = follow_list(kernel.layer, tasks).nodes


def task(at: int) -> Any:
    return kernel.object("task_struct", at - task_type.relative_child_offset("tasks"))


living = [place for place, at in enumerate(links) if place > 8 and int(task(at).exit_state) == 0]
# None is the neighbor of another, and the list leads to what has no PID.
poisoned, *bridged = living[1:-1:3][:9]
unnumbered = [1, 3]
for place in (poisoned, *bridged):
    bridge(links[place - 1], links[place + 1])
poison(links[poisoned])
for place in unnumbered:
    write(entry_of(kernel.module, int(task(links[place]).pid)).read[0], 0)
write(links[4], 0xDEAD000000000100)
write(tasks + 8, 0xDEAD000000000122)

altered = {"poisoned": [poisoned], "bridged": bridged, "unnumbered": unnumbered}
pids = {name: [int(task(links[place]).pid) for place in places] for name, places in altered.items()}
print(json.dumps({"module": read_string(kernel.layer, module.member("name").vol.offset, 64), **pids}))
