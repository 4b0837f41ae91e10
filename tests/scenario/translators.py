#!/usr/bin/env python3
"""The processes that read hostile bytes: that they are there, shut in, replaced, and gone when the daemon is.

When this fails, a letter can reach the daemon's files and sockets, one crash stops all translation, or processes of a
daemon that has ended stay behind.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import Instance, Tap, check, find, leave, same, start, until  # noqa: E402

WAIT = 60.0
CHILDREN = 2


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _zygote(ovvm: Instance) -> int:
    found = _children(ovvm.pid)
    same(len(found), 1, "child processes of the daemon")
    return found[0]


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _shut_in(pid: int) -> bool:
    return _status(pid)["Seccomp"] == "2"


def _translators(ovvm: Instance) -> list[int]:
    """Waits until all are in their sandbox."""
    def ready() -> list[int]:
        try:
            found = _children(_zygote(ovvm))
            return found if len(found) == CHILDREN and all(map(_shut_in, found)) else []
        except FileNotFoundError:
            return []
    return until(ready, WAIT, "translators in their sandbox")


def shut_in(tap: Tap, build: Path) -> None:
    with Instance(build) as ovvm, tap.case("the translators have a filter, no new privileges, and one socket"):
        for pid in _translators(ovvm):
            status = _status(pid)
            same(status["Name"], "ovvm-translate", "name")
            same(status["NoNewPrivs"], "1", "NoNewPrivs")
            same(status["Threads"], "1", "threads")
            if os.geteuid() == 0:
                open_files = {int(path.name): os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()}
                same(sorted(open_files), [0, 1, 2, 3], "descriptors")
                same(open_files[0], "/dev/null", "standard input")
                check(open_files[3].startswith("socket:"), "descriptor 3 is its socket")


def replaced(tap: Tap, build: Path) -> None:
    with Instance(build) as ovvm, tap.case("a translator that is killed is replaced, and the log says so"):
        before = _translators(ovvm)
        os.kill(before[0], signal.SIGKILL)
        ovvm.wait_log("translator killed by signal 9")
        until(lambda: before[0] not in _translators(ovvm), WAIT, "another translator")
        check(before[1] in _translators(ovvm), "the other one is still there")
        check(ovvm.ready(), "the daemon takes mail")


def without_zygote(tap: Tap, build: Path) -> None:
    with Instance(build) as ovvm, tap.case("without its zygote the daemon says why and ends with 75, to be started anew"):
        _translators(ovvm)
        os.kill(_zygote(ovvm), signal.SIGKILL)
        same(ovvm.wait_end(WAIT), 75, "exit status")
        line = ovvm.wait_log("nothing can be translated any more")[0]
        check("was killed by signal 9" in line, line)
        until(lambda: not ovvm.processes(), WAIT, "no process to be left")
        ovvm.start()
        _translators(ovvm)


def everybody_told(tap: Tap, build: Path) -> None:
    with Instance(build) as ovvm, tap.case("SIGTERM to all processes at once, as a supervisor sends it, is a clean stop"):
        _translators(ovvm)
        os.killpg(ovvm.pid, signal.SIGTERM)
        same(ovvm.wait_end(WAIT), 0, "exit status")
        same(ovvm.processes(), [], "processes left")


def daemon_killed(tap: Tap, build: Path) -> None:
    with Instance(build) as ovvm, tap.case("a daemon that is killed leaves no process behind"):
        _translators(ovvm)
        os.kill(ovvm.pid, signal.SIGKILL)
        ovvm.wait_end(WAIT)
        until(lambda: not ovvm.processes(), WAIT, "no process to be left")


def by_hand(tap: Tap, build: Path) -> None:
    with tap.case("the hidden argument given by hand is refused"):
        done = subprocess.run([str(find("ovvmd", build)), "--zygote"], capture_output=True, text=True, timeout=WAIT)
        same(done.returncode, 2, "exit status")
        check("own use" in done.stderr, done.stderr)


def main() -> None:
    tap, args = start(__doc__)
    shut_in(tap, args.build)
    replaced(tap, args.build)
    without_zygote(tap, args.build)
    everybody_told(tap, args.build)
    daemon_killed(tap, args.build)
    by_hand(tap, args.build)
    leave(tap.finish())


if __name__ == "__main__":
    main()
