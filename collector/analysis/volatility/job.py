"""What the collector tells a run, as JSON: what to prepare, then the job, then one plugin after the other."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fatal import Fatal

_BUILD_ID = re.compile(r"[0-9a-f]{8,64}\Z")
_PLUGIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*\Z")
_ARGUMENT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z")
_TEXT_LIMIT, _ITEM_LIMIT, _NUMBER_LIMIT = 4096, 256, (1 << 32) - 1

Argument = bool | int | str | list[int | str]


@dataclass(frozen=True)
class Image:
    """A file (kind `lime`), or a socket on which to ask for an image of `size_bytes` (kind `ranges`).

    `descriptor` is what it is read from, once that is open; `kept_bytes` is how much of a socket's answers is kept;
    `copy` is the descriptor of what was read of it.
    """

    kind: str
    size_bytes: int = 0
    path: str = ""
    descriptor: int = -1
    kept_bytes: int = 128 << 20
    copy: int = -1


@dataclass(frozen=True)
class Plugin:
    """A plugin, and what the collector knows of it: ../plugins.ts.

    `never_empty`: no running node is without what it lists. `processes`: it walks the task list, and has a row for "each"
    process in its column PID or for "some". `tree`: its rows get their depth. `needs`: without one of these arguments it
    cannot run.
    """

    name: str
    never_empty: bool = False
    processes: str | None = None
    tree: bool = False
    needs: tuple[str, ...] = ()
    arguments: Mapping[str, Argument] = field(default_factory=dict)


@dataclass(frozen=True)
class Preparation:
    """What can be done before an image is known. `plugins` are names, to be imported early.

    `memory_bytes`, `file_bytes` are limits; `must_be_confined` refuses a kernel that cannot do all of confine.py.
    `images` is a file, or a folder, in which the image of the job will be; `accelerated` is for accelerations.py.
    """

    isf_path: str
    isf_sha256: str
    plugins: tuple[str, ...]
    memory_bytes: int
    file_bytes: int
    cache_dir: str
    images: str
    must_be_confined: bool = False
    accelerated: bool = True


@dataclass(frozen=True)
class Job:
    """`banner` is the node's /proc/version without its line end, or None; `build_id` what it told, or None."""

    image: Image
    vmcoreinfo: str
    banner: str | None = None
    build_id: str | None = None


def parse_preparation(text: str | bytes) -> Preparation:
    """Raises Fatal(job_rejected) naming the first field that is missing or of the wrong kind."""
    told = _object(text)
    plugins = _field(told, "plugins", list)
    if not all(isinstance(name, str) and _PLUGIN_NAME.match(name) for name in plugins):
        raise Fatal("job_rejected", "The job's field plugins holds something that is no plugin.")
    return Preparation(
        isf_path=_absolute(told, "isfPath"),
        isf_sha256=_field(told, "isfSha256", str),
        plugins=tuple(plugins),
        memory_bytes=_positive(told, "limits.memoryBytes"),
        file_bytes=_positive(told, "limits.fileBytes"),
        cache_dir=_absolute(told, "cacheDir"),
        images=_absolute(told, "images"),
        must_be_confined=_flag(told, "mustBeConfined"),
        accelerated=_flag(told, "accelerated", True),
    )


def parse_job(text: str | bytes) -> Job:
    """Raises Fatal(job_rejected) naming the first field that is missing or of the wrong kind."""
    job = _object(text)
    banner = _field(job, "kernel.banner", (str, type(None)))
    build_id = _field(job, "kernel.buildId", (str, type(None)))
    return Job(
        image=_image(job),
        vmcoreinfo=_field(job, "kernel.vmcoreinfo", str),
        banner=banner.strip() if banner and banner.strip() else None,
        build_id=build_id if build_id and _BUILD_ID.match(build_id) else None,
    )


def _object(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Fatal("job_rejected", f"The job on stdin is not JSON: {error}.") from error


def _image(job: Any) -> Image:
    kind = _field(job, "image.kind", str)
    if kind == "ranges":
        return Image(kind, size_bytes=_positive(job, "image.sizeBytes"))
    return Image(kind, path=_absolute(job, "image.path"))


def _field(job: Any, path: str, kind: type | tuple[type, ...]) -> Any:
    value = job
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Fatal("job_rejected", f"The job's field {path} is missing or of the wrong kind.")
    return value


def _flag(job: Any, path: str, default: bool | None = None) -> bool:
    value = job.get(path, default) if isinstance(job, dict) else None
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


def parse_plugin(value: Any) -> Plugin:
    """Raises Fatal(job_rejected)."""
    name = value.get("name") if isinstance(value, dict) else None
    if not isinstance(name, str) or not _PLUGIN_NAME.match(name):
        raise Fatal("job_rejected", "The job's field plugins holds something that is no plugin.")
    processes = value.get("processes")
    if processes not in (None, "each", "some"):
        raise Fatal("job_rejected", "The job's field plugins.processes is neither each nor some.")
    needs, arguments = value.get("needs", []), value.get("arguments", {})
    if not isinstance(needs, list) or not all(isinstance(item, str) for item in needs):
        raise Fatal("job_rejected", "The job's field plugins.needs is no list of names.")
    if not isinstance(arguments, dict) or not all(_is_argument(*item) for item in arguments.items()):
        raise Fatal("job_rejected", f"The job's field plugins.arguments of {name} holds something that is no argument.")
    flags = _flag(value, "neverEmpty", False), processes, _flag(value, "tree", False)
    return Plugin(name, *flags, tuple(needs), arguments)


def _is_argument(name: str, value: Any) -> bool:
    if not _ARGUMENT_NAME.match(name):
        return False
    if isinstance(value, list):
        return len(value) <= _ITEM_LIMIT and all(_is_plain(item) and not isinstance(item, bool) for item in value)
    return _is_plain(value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _TEXT_LIMIT and "\0" not in value
    return isinstance(value, int) and 0 <= value <= _NUMBER_LIMIT
