#!/usr/bin/env python3
"""Group commit: many letters share one sync of the disk.

When this fails, a burst of mail waits for the disk letter by letter: while it is accepted and translated (the host holds
its link meanwhile), or while the host takes it at the same time.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import check, skip_all, start  # noqa: E402
from traffic import Traffic  # noqa: E402

MOST_PER_LETTER = 0.2
WAIT = 120.0


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sessions", type=int, default=32)
    parser.add_argument("--letters", type=int, default=1600)


def syncs(summary: str) -> int:
    """Calls of fsync and fdatasync in a summary of strace -c."""
    return sum(int(re.split(r"\s+", line.strip())[3]) for line in summary.splitlines()
               if line.rstrip().endswith(("fsync", "fdatasync")))


def case(args: argparse.Namespace, strace: str, withhold: bool) -> str:
    """A burst, until it is accepted or, where the host takes files, has arrived; what was counted. Failed above the
    limit."""
    traffic = Traffic(args.build, sessions=args.sessions, conf={"smtp-in": {"max-sessions": "100"}})
    summary = traffic.ovvm.directory / "strace"
    traffic.ovvm.wrapper = [strace, "-f", "--seccomp-bpf", "-c", "-o", str(summary), "-e", "trace=fsync,fdatasync"]
    traffic.node.quirks.withhold = withhold
    with traffic:
        traffic.ovvm.start()
        traffic.offer(args.letters, 0)
        traffic.load.no_more()
        check(traffic.load.join(WAIT), "every letter answered")
        accepted = len(traffic.load.accepted)
        if not withhold:
            traffic.settle(WAIT)
        traffic.ovvm.stop()
        count = syncs(summary.read_text())
        check(accepted >= args.letters, f"{accepted} of {args.letters} letters accepted")
        check(count >= 1, "strace saw no sync at all")
        check(count <= accepted * MOST_PER_LETTER, f"{count} syncs for {accepted} letters")
        return f"{accepted} letters, {count} syncs: {count / accepted:.3f} a letter"


def main() -> None:
    tap, args = start(__doc__, limit=300, options=options)
    strace = shutil.which("strace")
    if not strace:
        skip_all("strace is not installed")
    if subprocess.run([strace, "-f", "--seccomp-bpf", "-c", "true"], capture_output=True, timeout=30).returncode != 0:
        skip_all("this machine does not let strace trace")
    for withhold, what in ((True, "accepted and translated"), (False, "accepted, translated and taken by the host")):
        with tap.case(f"{args.sessions} sessions, {what}: at most {MOST_PER_LETTER} syncs a letter"):
            tap.diagnose(case(args, strace, withhold))
    tap.finish()


if __name__ == "__main__":
    main()
