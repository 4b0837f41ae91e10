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
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import check, skip_all, start  # noqa: E402
from traffic import Traffic  # noqa: E402

MOST_PER_LETTER = 0.2
STRACE = ["-f", "--seccomp-bpf", "-ttt", "-e", "trace=fsync,fdatasync"]
WAIT = 120.0


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sessions", type=int, default=32)
    parser.add_argument("--letters", type=int, default=1600)


def syncs(trace: str, until: float) -> int:
    """Calls of fsync and fdatasync in what strace -ttt wrote, before a moment (of time.time())."""
    calls = re.findall(r"^\d+ +(\d+\.\d+) f(?:data)?sync\(", trace, re.M)
    return sum(float(at) < until for at in calls)


def case(args: argparse.Namespace, strace: str, withhold: bool) -> str:
    """A burst; what was counted while its letters were accepted, with all that was translated and sent at the same time
    and, where the link is held, until the end. Failed above the limit. How soon the rest is gone is the host's affair:
    a slow one has its files written down one at a time, so that part is only told."""
    traffic = Traffic(args.build, sessions=args.sessions, conf={"smtp-in": {"max-sessions": "100"}})
    output = traffic.ovvm.directory / "strace"
    traffic.ovvm.wrapper = [strace, *STRACE, "-o", str(output)]
    traffic.node.quirks.withhold = withhold
    with traffic:
        traffic.ovvm.start()
        traffic.offer(args.letters, 0)
        traffic.load.no_more()
        check(traffic.load.join(WAIT), "every letter answered")
        answered = time.time()
        accepted, taken = len(traffic.load.accepted), len(traffic.node.received)
        if not withhold:
            traffic.settle(WAIT)
        traffic.ovvm.stop()
        trace = output.read_text()
        whole = syncs(trace, time.time())
        count = whole if withhold else syncs(trace, answered)
        check(accepted >= args.letters, f"{accepted} of {args.letters} letters accepted")
        check(count >= 1, "strace saw no sync at all")
        check(withhold or taken > 0, "the host took nothing meanwhile")
        check(count <= accepted * MOST_PER_LETTER, f"{count} syncs for {accepted} letters")
        return (f"{accepted} letters, {count} syncs: {count / accepted:.3f} a letter; the host took {taken} meanwhile; "
                f"to the end {whole}: {whole / accepted:.3f}")


def main() -> None:
    tap, args = start(__doc__, limit=300, options=options)
    strace = shutil.which("strace")
    if not strace:
        skip_all("strace is not installed")
    if subprocess.run([strace, *STRACE, "-o", "/dev/null", "true"], capture_output=True, timeout=30).returncode != 0:
        skip_all("this machine does not let strace trace")
    for withhold, what in ((True, "accepted and translated"), (False, "accepted, translated and taken by the host")):
        with tap.case(f"{args.sessions} sessions, {what}: at most {MOST_PER_LETTER} syncs a letter"):
            tap.diagnose(case(args, strace, withhold))
    tap.finish()


if __name__ == "__main__":
    main()
