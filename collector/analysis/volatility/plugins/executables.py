"""The path of a process's executable, as its own root directory shows it (/proc/PID/exe)."""

from typing import Any

from volatility3.framework.symbols.linux import LinuxUtilities

from kernel import Kernel


class ExecutablePaths:
    """Paths by file and root directory: many processes of a node run the same few programs in the same few roots."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._paths: dict[tuple[int, ...], str] = {}

    def path(self, holder: Any, file: Any) -> str | None:
        """`holder` is a task with an fs, `file` a pointer to struct file. None when the path cannot be read.

        Raises InvalidAddressException when a structure on the way is not in the image.
        """
        fs = holder.fs
        entry, mount = file.get_dentry(), file.get_vfsmnt()
        key = (int(entry), int(mount), int(fs.get_root_dentry()), int(fs.get_root_mnt()))
        if key not in self._paths:
            # Volatility puts a blank before a path that it marks as deleted.
            path = LinuxUtilities.path_for_file(self._kernel.context, holder, file, files_only=True).strip()
            self._paths[key] = path
        return self._paths[key] or None
