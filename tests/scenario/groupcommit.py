#!/usr/bin/env python3
"""Group commit: many letters share one sync of the disk.

When this fails, a burst of mail waits for the disk letter by letter. Counted are accepting and translating; the host holds
its link meanwhile, for a stream hands out one file after the other, each with a commit of its own.
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


def main() -> None:
    tap, args = start(__doc__, limit=300, options=options)
    strace = shutil.which("strace")
    if not strace:
        skip_all("strace is not installed")
    if subprocess.run([strace, "-c", "true"], capture_output=True, timeout=30).returncode != 0:
        skip_all("this machine does not let strace trace")
    with tap.case(f"{args.sessions} sessions: at most {MOST_PER_LETTER} syncs a letter"):
        traffic = Traffic(args.build, sessions=args.sessions, conf={"smtp-in": {"max-sessions": "100"}})
        summary = traffic.ovvm.directory / "strace"
        traffic.ovvm.wrapper = [strace, "-f", "-c", "-o", str(summary), "-e", "trace=fsync,fdatasync"]
        traffic.node.quirks.withhold = True
        with traffic:
            traffic.ovvm.start()
            traffic.offer(args.letters, 0)
            traffic.load.no_more()
            check(traffic.load.join(WAIT), "every letter answered")
            accepted = len(traffic.load.accepted)
            traffic.ovvm.stop()
            count = syncs(summary.read_text())
            tap.diagnose(f"{accepted} letters, {count} syncs: {count / max(accepted, 1):.3f} a letter")
            check(accepted >= args.letters, f"{accepted} of {args.letters} letters accepted")
            check(count >= 1, "strace saw no sync at all")
            check(count <= accepted * MOST_PER_LETTER, f"{count} syncs for {accepted} letters")
    tap.finish()


if __name__ == "__main__":
    main()
