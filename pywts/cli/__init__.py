"""The command line: parses, calls the public API, prints. A command is a module that is imported when it is used."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..errors import Error

COMMANDS = {
    "export": "write the weights of a checkpoint as a .wts",
    "inspect": "what a checkpoint holds, and what the C++ side must be told",
    "batch": "convert whole folders, lists and buckets of checkpoints, each once",
    "verify": "compare a .wts with what it was made from, bit for bit",
    "diff": "how two models differ, tensor by tensor: .wts, checkpoints, .safetensors",
    "convert": "a .wts as .safetensors, .npz or .pt, and back",
    "scan": "what loading a file would import and call, without doing it",
    "recipes": "list the surgery that families of models need, by name",
    "kernels": "list the encoders of this build, and the one in use",
    "completion": "what lets a shell complete commands, options and paths",
}

_USAGE = "usage: pywts [-h] [--version] COMMAND ..."


def program() -> int:
    """The console script: ``main`` in a process of its own, which ends with it.

    Collecting cyclic garbage takes a tenth of a small export, a good part of it when the interpreter goes down over
    what goes with the process anyway.
    """
    import gc

    if sys.argv[1:2] != ["batch"]:  # which lives long
        gc.disable()
    try:
        code = main()
    except KeyboardInterrupt:  # before there was a command to interrupt, or after
        code = 130
    gc.freeze()
    return code


def main(argv: list[str] | None = None) -> int:
    """Run a command line and return its exit code.

    0 done, 1 failed, 2 usage; 130 on SIGINT, 143 on SIGTERM, and 141 where the reader of standard output went away.
    """
    import os
    from _signal import SIGTERM, signal  # type: ignore[import-not-found]  # the module above it imports enum

    from ..errors import Error, OptionError

    arguments = sys.argv[1:] if argv is None else argv
    failed = 2 if arguments[:1] in (["verify"], ["diff"], ["scan"]) else 1  # there, 1 is an answer

    def terminated(*_: object) -> None:
        raise SystemExit(143)

    signal(SIGTERM, terminated)
    if sys.stderr is None:  # closed: print() would take standard output for it
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if hasattr(sys.stdout, "reconfigure"):  # what the terminal's encoding lacks is escaped
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _answer(arguments)
        _flush()
        return code
    except SystemExit as end:  # argparse's, after its help too, and that of a signal
        code = int(end.code or 0)
    except Error as error:
        complain(error)
        code = 2 if isinstance(error, OptionError) else 1
    except KeyboardInterrupt:
        print("pywts: interrupted; no file was left behind", file=sys.stderr)
        code = 130
    except MemoryError:
        print("pywts: memory ran out; free some, or raise the limit that the process has (ulimit -v)", file=sys.stderr)
        code = failed
    except (OSError, ImportError, RuntimeError) as error:
        if _too_many_are_open(error):
            print("pywts: too many files are open; close some, or raise the limit (ulimit -n)", file=sys.stderr)
            code = failed
        elif isinstance(error.__cause__, (KeyboardInterrupt, SystemExit)):
            # A signal, while the native module began, or (before Python 3.12) while a class of some module was made.
            code = 130 if isinstance(error.__cause__, KeyboardInterrupt) else 143
        elif isinstance(error, (ImportError, RuntimeError)):
            raise
        elif error.filename is not None or sys.stdout is None:  # which is told of files, and not of streams
            print(f"pywts: {_shown(error)}; please report this", file=sys.stderr)
            code = failed
        else:
            return _unwritable(error) or failed
    try:
        _flush()
    except OSError as error:
        lost = _unwritable(error)
        return code or lost or failed
    return code


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _unwritable(error: OSError) -> int:
    """Let go of standard output: 141, as a shell tells of SIGPIPE, where its reader went away, or 0 and a message."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return 141
    print(f"pywts: standard output cannot be written: {error.strerror}", file=sys.stderr)
    return 0


def _answer(arguments: list[str]) -> int:
    command, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if command == "help" and rest:
        command, rest = rest[0], ["--help"]
    if command in ("", "-h", "--help", "help"):
        _print_help()
        return 0 if command else 2
    if command in ("--version", "-V", "-v"):
        from .. import __version__

        print(f"pywts {__version__}")
        return 0
    if command in ("--include-dir", "--cmake-dir"):
        from ..headers import cmake_folder, get_include

        print(get_include() if command == "--include-dir" else cmake_folder())
        return 0
    if command not in COMMANDS:
        return _unknown(command)
    from importlib import import_module

    code: int = import_module(f".{command}_command", __name__).run(rest)
    return code


def _shown(error: OSError) -> str:
    from ..errors import shown

    return shown(error, 1_000)


def _too_many_are_open(error: Exception) -> bool:
    import errno
    import os

    # A module that is a library says it in words only.
    return getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE) or os.strerror(errno.EMFILE) in str(error)


def complain(error: Error) -> None:
    """Say an error on standard error."""
    from ..errors import shown

    lines = str(error).split("\n")  # paths in it may hold what a terminal obeys
    print("pywts:", "\n".join(shown(line, 1_000_000) for line in lines), file=sys.stderr)


def _print_help() -> None:
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:{width}}  {what}" for name, what in COMMANDS.items())
    print(f"{_USAGE}\n\nPyTorch checkpoints to the .wts files that TensorRT programs read.\n\ncommands:\n{lines}\n")
    print("`pywts COMMAND --help` explains one. Start with: pywts export best.pt")
    print("`pywts --include-dir` and `--cmake-dir` tell where the C++ header and its CMake package are.")


def _unknown(command: str) -> int:
    from ..errors import near, shown

    hint = ""
    if close := near(command, list(COMMANDS), 1):
        hint = f"; did you mean {close[0]}?"
    elif "." in command:
        hint = f"; to export it: pywts export {shown(command)}"
    print(f"{_USAGE}\npywts: no command {shown(command)!r}{hint}", file=sys.stderr)
    return 2
