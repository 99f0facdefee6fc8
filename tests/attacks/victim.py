"""Exports one file in a process that is watched: what it imports, opens, starts; how much memory and time it takes.

Run as ``python victim.py FILE OUTPUT``; prints one JSON object. It dies of what is forbidden, at once.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any

MEMORY = 1 << 30
SECONDS = 5
_FORBIDDEN = ("os.", "subprocess.", "socket.", "ctypes.", "pickle.", "shutil.", "pty.", "winreg.", "urllib.", "exec")
_HARMLESS = ("os.listdir", "os.scandir", "os.remove", "os.rename", "os.link", "os.putenv", "os.truncate", "os.utime",
             "os.chmod", "os.chown")  # fmt: skip


def main(source: str, output: str) -> None:
    """Watch and export."""
    import tempfile  # before it is watched: it makes named tuples, which run code that they wrote themselves

    import pywts

    folder = tempfile.tempdir = os.path.dirname(os.path.abspath(output))
    ours = os.path.dirname(os.path.abspath(pywts.__file__)) + os.sep

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "import":
            if arguments[0].partition(".")[0] not in (*sys.stdlib_module_names, "pywts"):
                _die(f"imports {arguments[0]}")
        elif event == "open":
            path, mode, flags = arguments
            writes = (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC)
            if writes and not (isinstance(path, str) and os.path.abspath(path).startswith((folder, "/dev/null"))):
                _die(f"opens {path!r} to write ({mode}, {flags})")
        elif event == "exec":
            file = getattr(arguments[0], "co_filename", "")
            if not file.startswith((ours, os.path.dirname(os.__file__), "<frozen")):
                _die(f"runs code of {file!r}")
        elif event.startswith(_FORBIDDEN) and event not in _HARMLESS:
            _die(f"{event} {arguments!r}")

    addresses = MEMORY + (
        (4 << 30) if "t" in sys.abiflags else 0
    )  # free-threaded Python sets addresses aside by the GiB
    resource.setrlimit(resource.RLIMIT_AS, (addresses, addresses))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    sys.addaudithook(watch)
    told: dict[str, object]
    try:
        told = {"tensors": pywts.export(source, output).tensors}
    except pywts.Error as error:
        told = {"error": str(error), "kind": type(error).__name__}
    usage = resource.getrusage(resource.RUSAGE_SELF)
    told.update(memory=_peak_memory(), seconds=usage.ru_utime + usage.ru_stime)
    print(json.dumps(told))


def _peak_memory() -> int:
    """Bytes. The kernel's ``ru_maxrss`` would count the parent's as well, from before this program was started."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))


def _die(what: str) -> None:
    sys.stderr.write(f"FORBIDDEN: {what}\n")
    sys.stderr.flush()
    os._exit(99)


if __name__ == "__main__":
    main(*sys.argv[1:])
