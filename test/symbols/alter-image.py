"""In a copy of an image takes a module off the kernel's list, as one that hides itself does, and prints its name; and
tears the list of tasks behind the first few, as happens when tasks end while memory is read.

alter-image.py VOLATILITY_DIR IMAGE < job, where VOLATILITY_DIR is collector/analysis/volatility.
"""

import json
import os
import sys

sys.path.insert(0, sys.argv[1])

from job import Image, Job  # noqa: E402
from kernel import open_kernel  # noqa: E402
from memory import follow_list, read_string  # noqa: E402
from symbols import load_symbols  # noqa: E402

job = json.load(sys.stdin)
image_path = sys.argv[2]
image = Image("lime", descriptor=os.open(image_path, os.O_RDONLY))
symbols = load_symbols(job["isfPath"], job["isfSha256"])
kernel = open_kernel(symbols, Job(image, job["vmcoreinfo"], job["banner"]))
module_type = kernel.module.get_type("module")
nodes = follow_list(kernel.layer, kernel.module.object_from_symbol("modules").vol.offset).nodes
before, hidden, after = nodes[2:5]


def write(address: int, value: int) -> None:
    """Writes a pointer to where the image's file has this address of the kernel."""
    [(_, _, physical, _, memory)] = kernel.layer.mapping(address, 8)
    [(_, _, in_file, _, _)] = kernel.context.layers[memory].mapping(physical, 8)
    with open(image_path, "r+b") as file:
        file.seek(in_file)
        file.write((value | 0xFFFF << 48).to_bytes(8, "little"))


write(before, after)
write(after + 8, before)
module = kernel.object("module", hidden - module_type.relative_child_offset("list"))
tasks = kernel.module.object_from_symbol("init_task").member("tasks").vol.offset
write(follow_list(kernel.layer, tasks).nodes[4], 0xDEAD000000000100)
write(tasks + 8, 0xDEAD000000000122)
print(read_string(kernel.layer, module.member("name").vol.offset, 64))
