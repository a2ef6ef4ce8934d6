"""Runs the benchmark: `python -m tests.bench [--short] [--only NAME] [--seed N]`; exits 1 where a section failed."""

import argparse
import asyncio
import logging
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import report
from tests.bench.environment import RESULTS, BenchEnvironment
from tests.bench.machine import this_machine
from tests.bench.sections import Section, all_sections, run_sections
from tests.support.kafka import running_broker


def main() -> int:
    arguments = _arguments()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it complains while topics and groups come into being
    sections = [section for section in all_sections() if arguments.only in (None, section.name)]
    RESULTS.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="run-", dir=RESULTS)).resolve()
    try:
        with running_broker(directory / "broker") as servers:
            environment = BenchEnvironment(servers, directory, arguments.short, arguments.seed)
            found = asyncio.run(_run(sections, environment))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    for path in report.write(found, RESULTS):
        print(f"written: {path}")
    return 1 if any(section.failure is not None for section in found.sections) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--short", action="store_true", help="all of it in two minutes: for a look, not for figures")
    parser.add_argument("--only", metavar="NAME", choices=[section.name for section in all_sections()], help="one section alone")
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="of the event log; 1 if not given")
    return parser.parse_args()


async def _run(sections: list[Section], environment: BenchEnvironment) -> report.Report:
    began = datetime.now(UTC).isoformat(timespec="seconds")
    machine = this_machine()
    print(f"{began}  {machine.described()}\n", flush=True)
    done = []
    async for section in run_sections(sections, environment):
        print(report.section_as_text(section) + "\n", flush=True)
        done.append(section)
    return report.Report(began, " ".join(["python -m tests.bench", *sys.argv[1:]]), machine, done)


if __name__ == "__main__":
    sys.exit(main())
