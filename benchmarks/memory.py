"""Peak memory of a call, on Linux."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path


def in_own_process(function, *args):
    """Call a function in a process of its own, whose peak no other call has raised.

    Raises
    ------
    BrokenProcessPool
        If the process died.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(function, *args).result()


def reset_peak():
    """Set the peak of this process back to what it holds now."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mib():
    """Most memory that this process has held since then: Linux's VmHWM, in MiB."""
    status = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
