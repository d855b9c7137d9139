"""Prints what the plugins of this Volatility say of themselves as JSON: by name their columns, and their arguments."""

import importlib
import json
import os
import pkgutil
import sys
from typing import Any
from unittest.mock import MagicMock

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from volatility3.framework import deprecation, interfaces
from volatility3.framework.configuration import requirements
from volatility3.plugins import linux

_SIMPLE = {requirements.BooleanRequirement: "bool", requirements.IntRequirement: "int", requirements.StringRequirement: "str"}


def _kind(requirement: Any) -> str | None:
    if isinstance(requirement, requirements.ListRequirement):
        return f"list of {requirement.element_type.__name__}"
    if isinstance(requirement, requirements.ChoiceRequirement):
        return ",".join(requirement.choices)
    return _SIMPLE.get(type(requirement))


def _columns(plugin: Any) -> list[str]:
    given = {requirement.name: requirement.default for requirement in plugin.get_requirements()}
    made = type("Made", (plugin,), {"config": given, "_check_capabilities_support": lambda *_: None})
    instance = made.__new__(made)
    instance._context, instance._config_path, instance._progress_callback = MagicMock(), "", None
    return [column.name for column in instance.run().columns]


def _plugins() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for module in pkgutil.walk_packages(linux.__path__, "volatility3.plugins.linux."):
        for name, value in vars(importlib.import_module(module.name)).items():
            of_it = isinstance(value, type) and value.__module__ == module.name
            if of_it and issubclass(value, interfaces.plugins.PluginInterface):
                found[f"{module.name.removeprefix('volatility3.plugins.')}.{name}"] = value
    return found


def _is_alias(plugin: Any) -> bool:
    return issubclass(plugin, deprecation.PluginRenameClass)


def main() -> None:
    told: dict[str, Any] = {}
    for name, plugin in _plugins().items():
        if _is_alias(plugin):
            continue
        kinds = {requirement.name: (_kind(requirement), requirement.optional) for requirement in plugin.get_requirements()}
        takes = {name: kind for name, (kind, _) in kinds.items() if kind is not None}
        required = [name for name, (kind, optional) in kinds.items() if kind is not None and not optional]
        told[name] = {"columns": _columns(plugin), "takes": takes, "required": required}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
