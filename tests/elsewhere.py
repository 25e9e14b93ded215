"""Puts in the answers that macOS or Windows would give, so that Linux shows what merjax does there.

    MERJAX_TEST_AS=windows PYTHONPATH=tests python -m pytest -p elsewhere -q tests/test_fields.py
    MERJAX_TEST_AS=macos   PYTHONPATH=tests python -m pytest -p elsewhere -q tests/test_fields.py

Programs that the tests start answer alike, by started/sitecustomize.py. It is no proof: the libraries below merjax
still see Linux, and paths have no drive letters. PYTEST_DONT_REWRITE, since programs import it before pytest.
"""

import builtins
import collections
import functools
import io
import multiprocessing
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve()
MERJAX = str(HERE.parents[1] / "merjax")
STARTED = str(HERE.parent / "started")
LIBRARY = str(Path(os.__file__).parent)  # of Python itself
SYSTEM = os.environ.get("MERJAX_TEST_AS", "")
ABSENT = {  # modules, functions of os, files
    "windows": (
        ("resource", "fcntl", "pwd", "grp"),
        ("sysconf", "fork", "forkpty", "sched_getaffinity", "getuid", "geteuid", "getgid", "getegid", "getpgid"),
    ),
    "macos": ((), ("sched_getaffinity",)),
}
MEMORY = {  # fields of psutil
    "windows": ("rss vms num_page_faults peak_wset wset", "total available percent used free"),
    "macos": ("rss vms pfaults pageins", "total available percent used free active inactive wired"),
}


def asked_by_merjax(folder: str = MERJAX) -> bool:
    """Whether a call comes from merjax, or a folder, by way of Python's own library or not."""
    frame = sys._getframe(2)
    while frame.f_back and (
        frame.f_code.co_filename.startswith("<frozen")
        or (frame.f_code.co_filename.startswith(LIBRARY) and "site-packages" not in frame.f_code.co_filename)
    ):
        frame = frame.f_back
    return frame.f_code.co_filename.startswith(folder)


def linux_only(path: object) -> bool:
    """Whether a path is one of those by which Linux tells about itself."""
    return isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(("/proc/", "/sys/"))


def put_in(system: str) -> None:
    """Makes this process answer as another system, as far as merjax asks it."""
    modules, functions = ABSENT[system]
    hide_modules(modules)
    hide_functions(functions)
    hide_files()
    text_needs_an_encoding()
    memory_by_psutil(system)
    multiprocessing.set_start_method("spawn", force=True)
    if system == "windows":

        def refused(*arguments: object, **options: object) -> None:
            if asked_by_merjax(str(HERE.parent)):
                sys.modules["pytest"].skip("making a link needs a privilege on Windows")
            raise OSError(22, "A required privilege is not held by the client")

        os.symlink = refused
    else:
        bytes_not_kib()
    pass_on()


def hide_modules(names: tuple[str, ...]) -> None:
    """Importing these is an ImportError; other libraries, which go by sys.platform, still get them."""
    real = builtins.__import__

    @functools.wraps(real)
    def call(name, *arguments, **options):
        if name in names and asked_by_merjax():
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return real(name, *arguments, **options)

    builtins.__import__ = call


def hide_functions(names: tuple[str, ...]) -> None:
    """The module os lacks functions, as `hide_modules`."""
    taken = {name: vars(os).pop(name) for name in names if hasattr(os, name)}
    if hasattr(os, "process_cpu_count"):  # from Python 3.13; the module's own names never reach __getattr__
        os.process_cpu_count = os.cpu_count  # as where there is no sched_getaffinity

    def absent(name: str) -> object:
        if name not in taken or asked_by_merjax():
            raise AttributeError(f"module 'os' has no attribute '{name}'")
        return taken[name]

    os.__getattr__ = absent


def hide_files() -> None:
    """/proc and /sys are not there."""

    def hidden(function):
        @functools.wraps(function)
        def call(path, *arguments, **options):
            if linux_only(path) and asked_by_merjax():
                raise FileNotFoundError(2, "No such file or directory", path)
            return function(path, *arguments, **options)

        return call

    os.stat, io.open = hidden(os.stat), hidden(io.open)
    builtins.open = io.open


def text_needs_an_encoding() -> None:
    """A text file that merjax opens without an encoding would be read as cp1252 on Windows: an error."""
    real = io.open

    @functools.wraps(real)
    def call(file, mode="r", buffering=-1, encoding=None, *arguments, **options):
        if "b" not in mode and encoding in (None, "locale") and asked_by_merjax():
            raise AssertionError(f"{file} is opened as text without encoding")
        return real(file, mode, buffering, encoding, *arguments, **options)

    io.open = builtins.open = call
    io.text_encoding = lambda encoding, stacklevel=2: encoding or "locale"  # under LC_ALL=C too


def memory_by_psutil(system: str) -> None:
    """psutil gives the fields of that system and no others."""
    import psutil

    own, whole = (collections.namedtuple("memory", names) for names in MEMORY[system])
    info, virtual = psutil.Process.memory_info, psutil.virtual_memory

    def only(fields, found):
        return fields(**{name: getattr(found, name, 0) for name in fields._fields})

    psutil.Process.memory_info = lambda self: only(own, info(self))
    psutil.virtual_memory = lambda: only(whole, virtual())


def bytes_not_kib() -> None:
    """macOS states the largest memory in bytes, Linux in KiB."""
    import resource

    real = resource.getrusage

    def getrusage(who):
        found = real(who)
        return resource.struct_rusage((*found[:2], found[2] * 1024, *found[3:]))

    resource.getrusage = getrusage


def pass_on() -> None:
    """Programs that are started from here answer alike."""
    kept = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path not in ("", STARTED)]
    os.environ["PYTHONPATH"] = os.pathsep.join([STARTED, *kept])


if SYSTEM:
    put_in(SYSTEM)
