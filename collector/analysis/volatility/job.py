"""The job: one JSON object on stdin, checked before anything else is touched."""

import json
import os
import re
from dataclasses import dataclass
from typing import Any

from fatal import Fatal

_BUILD_ID = re.compile(r"[0-9a-f]{8,64}\Z")
_PLUGIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*\Z")


@dataclass(frozen=True)
class Image:
    """An open file (kind `lime`), or a socket on which to ask for an image of `size_bytes` (kind `ranges`)."""

    kind: str
    size_bytes: int = 0
    descriptor: int = 3


@dataclass(frozen=True)
class Plugin:
    """A plugin, and what the collector knows of it: ../plugins.ts.

    `never_empty`: no running node is without what it lists. `processes`: its rows have a PID and are compared with the
    task list, of which "each" process or "some" have one. `tree`: its rows get their depth.
    """

    name: str
    never_empty: bool = False
    processes: str | None = None
    tree: bool = False


@dataclass(frozen=True)
class Job:
    """`banner` is the node's /proc/version without its line end, or None; `build_id` what it told, or None.

    `memory_bytes`, `file_bytes` are limits; `must_be_confined` refuses a kernel that cannot do all of confine.py;
    `accelerated` is for accelerations.py.
    """

    image: Image
    isf_path: str
    isf_sha256: str
    banner: str | None
    vmcoreinfo: str
    plugins: tuple[Plugin, ...]
    memory_bytes: int
    file_bytes: int
    cache_dir: str
    build_id: str | None = None
    must_be_confined: bool = False
    accelerated: bool = True


def parse_job(text: str | bytes) -> Job:
    """Raises Fatal(job_rejected) naming the first field that is missing or of the wrong kind."""
    try:
        job = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Fatal("job_rejected", f"The job on stdin is not JSON: {error}.") from error
    banner = _field(job, "kernel.banner", (str, type(None)))
    build_id = _field(job, "kernel.buildId", (str, type(None)))
    return Job(
        image=_image(job),
        isf_path=_absolute(job, "isfPath"),
        isf_sha256=_field(job, "isfSha256", str),
        banner=banner.strip() if banner and banner.strip() else None,
        vmcoreinfo=_field(job, "kernel.vmcoreinfo", str),
        plugins=_plugins(job),
        memory_bytes=_positive(job, "limits.memoryBytes"),
        file_bytes=_positive(job, "limits.fileBytes"),
        cache_dir=_absolute(job, "cacheDir"),
        build_id=build_id if build_id and _BUILD_ID.match(build_id) else None,
        must_be_confined=_flag(job, "mustBeConfined"),
        accelerated=_flag(job, "accelerated", True),
    )


def _image(job: Any) -> Image:
    kind = _field(job, "image.kind", str)
    if kind == "ranges":
        return Image(kind, size_bytes=_positive(job, "image.sizeBytes"))
    return Image(kind)


def _field(job: Any, path: str, kind: type | tuple[type, ...]) -> Any:
    value = job
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Fatal("job_rejected", f"The job's field {path} is missing or of the wrong kind.")
    return value


def _flag(job: Any, path: str, default: bool | None = None) -> bool:
    value = job.get(path, default)
    if not isinstance(value, bool):
        raise Fatal("job_rejected", f"The job's field {path} is missing or of the wrong kind.")
    return value


def _absolute(job: Any, path: str) -> str:
    value = _field(job, path, str)
    if not os.path.isabs(value) or "\0" in value:
        raise Fatal("job_rejected", f"The job's field {path} is not an absolute path.")
    return value


def _positive(job: Any, path: str) -> int:
    value = _field(job, path, int)
    if value <= 0:
        raise Fatal("job_rejected", f"The job's field {path} is not a positive number of bytes.")
    return value


def _plugins(job: Any) -> tuple[Plugin, ...]:
    plugins = tuple(parse_plugin(value) for value in _field(job, "plugins", list))
    if not plugins or len({plugin.name for plugin in plugins}) != len(plugins):
        raise Fatal("job_rejected", "The job's field plugins is empty or names a plugin twice.")
    return plugins


def parse_plugin(value: Any) -> Plugin:
    """Raises Fatal(job_rejected)."""
    name = value.get("name") if isinstance(value, dict) else None
    if not isinstance(name, str) or not _PLUGIN_NAME.match(name):
        raise Fatal("job_rejected", "The job's field plugins holds something that is no plugin.")
    processes = value.get("processes")
    if processes not in (None, "each", "some"):
        raise Fatal("job_rejected", "The job's field plugins.processes is neither each nor some.")
    return Plugin(name, _flag(value, "neverEmpty", False), processes, _flag(value, "tree", False))
