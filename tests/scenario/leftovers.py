#!/usr/bin/env python3
"""After the connector ended nothing is left but the ledger: no process, no socket, no file."""

import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import Instance, check, same, start, until  # noqa: E402
from traffic import Traffic  # noqa: E402

LEDGER = {"ovvm.db", "ovvm.db-wal", "ovvm.db-shm"}
WAIT = 20.0


def closed(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) != 0


def nothing_but_ledger(ovvm: Instance, exact: set[str]) -> None:
    until(lambda: not ovvm.processes(), WAIT, f"its processes to end: {ovvm.processes()}")
    check(closed(ovvm.smtp_port) and closed(ovvm.link_port), "a port is still open")
    found = {str(path.relative_to(ovvm.state)) for path in ovvm.state.rglob("*")}
    check(found <= exact, f"left in the state directory: {sorted(found - exact)}")


def main() -> None:
    tap, args = start(__doc__, limit=180)
    with Traffic(args.build, conf={"smtp-in": {"lmtp": None}}) as traffic:
        ovvm = traffic.ovvm
        ovvm.sections["smtp-in"]["lmtp"] = str(ovvm.directory / "lmtp.sock")
        ovvm.write_conf()
        with tap.case("stopped (SIGTERM) after mail both ways"):
            ovvm.start()
            traffic.offer(20, 10)
            until(lambda: len(traffic.at_host()) >= 20 and len(traffic.at_sink()) >= 10, WAIT, "the load to pass")
            check((ovvm.directory / "lmtp.sock").is_socket() and ovvm.control.is_socket(), "the sockets are there meanwhile")
            ovvm.stop()
            nothing_but_ledger(ovvm, {"ovvm.db"})
            for path in (ovvm.control, ovvm.directory / "lmtp.sock"):
                check(not path.exists(), f"{path.name} is still there")
        with tap.case("stopped while the sink does not answer and a file is half sent"):
            ovvm.start()
            traffic.sink.delay = 5.0
            traffic.node.quirks.complete = False
            traffic.offer(2, 2)
            until(lambda: len(traffic.node.received) > 20, WAIT, "a file at the host")
            ovvm.stop()
            nothing_but_ledger(ovvm, {"ovvm.db"})
            traffic.sink.delay, traffic.node.quirks.complete = 0.0, True
        with tap.case("killed: its children end by themselves, and the next start clears the sockets"):
            ovvm.start()
            ovvm.signal(9)
            ovvm.wait_end(WAIT)
            nothing_but_ledger(ovvm, LEDGER)
            ovvm.start()
            traffic.quiet()
            traffic.settle()
        with tap.case("a second daemon on the same state directory is refused, in words, and harms nothing"):
            other = Instance(args.build)
            other.sections["connector"]["state"] = str(ovvm.state)
            other.sections["store"]["url"] = f"sqlite:{ovvm.state}/ovvm.db"
            other.write_conf()
            other.launch()
            check(other.wait_end(WAIT) > 0, "refused")
            check(any(str(ovvm.state) in line for line in other.log_lines()), f"says why: {other.log_lines()}")
            check(ovvm.alive() and ovvm.ready(), "the first one goes on")
            other.__exit__(None)
        same(traffic.node.violations and [v for v in traffic.node.violations if "ended" not in v], [], "violations")
    tap.finish()


if __name__ == "__main__":
    main()
