"""Runs plugins as `vol` does, with nothing of ours but the form of the values: `stock_rows.py IMAGE SYMBOLS PLUGIN…`.

SYMBOLS is a folder with a folder `linux` that has the ISF. Prints a line of JSON for each plugin: its name with columns and
rows, or with the error that ended it. XDG_CACHE_HOME has to be a folder of its own.
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

from rows import plain


def _run(image: str, name: str) -> dict[str, Any]:
    context = contexts.Context()
    context.config["automagic.LayerStacker.single_location"] = pathlib.Path(image).as_uri()
    plugin = framework.list_plugins()[name]
    chosen = automagic.choose_automagic(automagic.available(context), plugin)
    handler = interfaces.plugins.FileHandlerInterface
    constructed = plugins.construct_plugin(context, chosen, plugin, "plugins", None, handler)
    grid = constructed.run()
    rows: list[list[Any]] = []
    grid.populate(lambda node, _: rows.append([plain(value) for value in node.values]))
    return {"columns": [column.name for column in grid.columns], "rows": rows}


def main() -> None:
    image, symbols, *names = sys.argv[1:]
    constants.OFFLINE = True
    volatility3.symbols.__path__ = [symbols, *constants.SYMBOL_BASEPATHS]
    framework.import_files(volatility3.plugins, True)
    for name in names:
        try:
            end = _run(image, name)
        except Exception as error:
            end = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps({"plugin": name, **end}), flush=True)


if __name__ == "__main__":
    main()
