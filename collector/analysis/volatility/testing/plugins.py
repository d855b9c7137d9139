"""Plugins as the collector tells them: the flags of ../../plugins.ts that tests need."""

from typing import Any

_EACH = {"neverEmpty": True, "processes": "each"}
_SOME = {"neverEmpty": True, "processes": "some"}
_FLAGS: dict[str, dict[str, Any]] = {
    "processes": {"neverEmpty": True},
    "sockets": {"neverEmpty": True},
    "linux.pslist.PsList": _EACH,
    "linux.pstree.PsTree": _EACH | {"tree": True},
    "linux.psaux.PsAux": _EACH,
    "linux.sockstat.Sockstat": _SOME,
    "linux.lsof.Lsof": _SOME,
}


def told(name: str) -> dict[str, Any]:
    return {"name": name, **_FLAGS.get(name, {})}
