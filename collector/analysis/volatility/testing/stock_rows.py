"""Runs plugins of Volatility on an image that it opens itself, with nothing of ours but the form of the values.

`stock_rows.py IMAGE SYMBOLS PLUGIN…`: SYMBOLS is a folder with a folder `linux` that has the ISF. Prints a line of JSON for
each plugin: its name with columns and rows, or with the error that ended it. XDG_CACHE_HOME has to be a folder of its own.
"""

import json
import os
import pathlib
import sys
from typing import Any

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

import volatility3.plugins
import volatility3.symbols
from volatility3 import framework
from volatility3.framework import automagic, constants, contexts, interfaces, plugins
from volatility3.framework.configuration import requirements

from rows import plain

_FIRST = "linux.pslist.PsList"


def _open(image: str) -> contexts.Context:
    """As `vol` opens an image for a plugin."""
    context = contexts.Context()
    context.config["automagic.LayerStacker.single_location"] = pathlib.Path(image).as_uri()
    plugin = framework.list_plugins()[_FIRST]
    chosen = automagic.choose_automagic(automagic.available(context), plugin)
    plugins.construct_plugin(context, chosen, plugin, "plugins", None, interfaces.plugins.FileHandlerInterface)
    return context


def _run(context: contexts.Context, name: str) -> dict[str, Any]:
    plugin = framework.list_plugins()[name]
    module = context.config[f"plugins.{_FIRST.rpartition('.')[2]}.kernel"]
    path = f"plugins.{plugin.__name__}"
    for requirement in plugin.get_requirements():
        if isinstance(requirement, requirements.ModuleRequirement):
            context.config[f"{path}.{requirement.name}"] = module
        if isinstance(requirement, requirements.TranslationLayerRequirement):
            context.config[f"{path}.{requirement.name}"] = context.modules[module].layer_name
    grid = plugin(context, path).run()
    rows: list[list[Any]] = []
    grid.populate(lambda node, _: rows.append([plain(value) for value in node.values]))
    return {"columns": [column.name for column in grid.columns], "rows": rows}


def _tell(context: contexts.Context, name: str) -> None:
    try:
        end = _run(context, name)
    except Exception as error:
        end = {"error": f"{type(error).__name__}: {error}"[:500]}
    print(json.dumps({"plugin": name, **end}), flush=True)


def main() -> None:
    image, symbols, *names = sys.argv[1:]
    constants.OFFLINE = True
    volatility3.symbols.__path__ = [symbols, *constants.SYMBOL_BASEPATHS]
    framework.import_files(volatility3.plugins, True)
    context = _open(image)
    for name in names:
        # Each with the image as it was just opened.
        child = os.fork()
        if child == 0:
            _tell(context, name)
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
