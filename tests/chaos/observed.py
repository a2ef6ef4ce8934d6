"""Runs a service so that SIGUSR1 makes it write where each of its threads and tasks stands: `python -m tests.chaos.observed SERVICE`."""

import asyncio
import faulthandler
import runpy
import signal
import sys


def tell_on_sigusr1() -> None:
    """Onto standard error; the process goes on."""

    def tell(*_: object) -> None:
        faulthandler.dump_traceback(all_threads=True)
        for task in list(asyncio.tasks._all_tasks):  # type: ignore[attr-defined]  # of every loop, not only the running one
            if not task.done():
                task.print_stack(limit=6, file=sys.stderr)
        sys.stderr.flush()

    signal.signal(signal.SIGUSR1, tell)


if __name__ == "__main__":
    tell_on_sigusr1()
    runpy.run_module(f"services.{sys.argv.pop(1)}", run_name="__main__")
