#!/usr/bin/env python3
"""Writes, syncs and allocations that fail, one after the other, and a disk that is full for a while.

When this fails, a full disk loses mail, or the connector needs an operator to take mail again.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crash import UNDER_LOAD  # noqa: E402
from harness import Tap, check, failpoints, same, start, until  # noqa: E402
from peer.mail import Client, SmtpError  # noqa: E402
from traffic import Traffic, letter, send_note  # noqa: E402

# Each with how many such calls there are, roughly: of a first start, and of the load of one_fault after it.
KINDS = {"write:{n}:ENOSPC": (80, 200), "write:{n}:EIO": (80, 200), "sync:{n}:EIO": (10, 30), "sync:{n}:ENOSPC": (10, 30),
         "alloc:{n}": (7500, 3000)}
LATER = ("452", "451", "421")
LEDGER_DOWN, LEDGER_UP = "the ledger cannot be written", "the ledger can be written again"
WAIT = 30.0


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=int, default=6, help="how many calls of each kind fail in turn, evenly spread")


def one_fault(traffic: Traffic, fault: str, running: bool) -> str:
    """One call fails, of a first start or of the running daemon. It may end with a clear word, never by a signal, and never
    losing."""
    ovvm = traffic.ovvm
    if running:
        ovvm.start(OVVM_FAULT_FILE=str(ovvm.fault_file))
        ovvm.set_fault(fault)
    else:
        ovvm.launch(OVVM_FAULT=fault)
    traffic.offer(6, 3)
    until(lambda: not ovvm.alive() or (len(traffic.at_host()) >= 6 and len(traffic.at_sink()) >= 3), WAIT,
          "the load to pass, or the daemon to end")
    what = "went on"
    if not ovvm.alive():
        status = ovvm.wait_end(5)
        check(status > 0, f"ended with status {status}: by a signal, or as if nothing were wrong")
        check(ovvm.log_lines(), "ended without a word")
        what = f"ended with status {status}: {ovvm.log_lines()[-1]}"
        ovvm.start()
    traffic.quiet()
    traffic.settle()
    answers = {one.reply[:3] for one in traffic.load.deferred}
    check(answers <= set(LATER), f"answers to mail that could not be kept: {sorted(answers)}")
    check(not traffic.load.refused, "mail was refused for good because of a passing fault")
    host, sink = traffic.duplicates()
    check(host <= UNDER_LOAD[0] and sink <= UNDER_LOAD[1], f"copies: host {host}, sink {sink}")
    return what


def in_turn(tap: Tap, args: argparse.Namespace) -> None:
    for pattern, spans in KINDS.items():
        for running, span in enumerate(spans):
            for n in range(1, span + 1, max(1, span // args.calls)):
                fault = pattern.format(n=n)
                with tap.case(f"{fault} ({'running' if running else 'starting'}): answered 4xx or kept, nothing "
                              "acknowledged is lost"), Traffic(args.build) as traffic:
                    tap.diagnose(f"{fault}: {one_fault(traffic, fault, bool(running))}")


def full_disk(tap: Tap, args: argparse.Namespace, error: str) -> None:
    traffic = Traffic(args.build)
    ovvm = traffic.ovvm
    ovvm.environment["OVVM_FAULT_FILE"] = str(ovvm.fault_file)
    with traffic:
        ovvm.start()
        with tap.case(f"{error}: with room, mail passes both ways"):
            traffic.offer(3, 2)
            until(lambda: len(traffic.at_host()) >= 3 and len(traffic.at_sink()) >= 2, WAIT, "the load to pass")
        with tap.case(f"{error} for every write: SMTP answers 4xx, in words, and goes on answering"):
            ovvm.set_fault(f"write:1+:{error}")
            replies = []
            for number in range(5):
                with Client(ovvm.smtp) as client:
                    check(not client.deliver(letter(f"M9{number:06}")), "no 250 without a disk")
                    replies.append(client_reply(client, number))
            check(all(r[:3] in LATER for r in replies), f"replies: {replies}")
        with tap.case(f"{error}: the host keeps its files, the daemon lives"):
            kept = [send_note(traffic.node, f"H9{number:06}") for number in range(3)]
            traffic.sendings.update({f"H9{number:06}": one for number, one in enumerate(kept)})
            until(lambda: any(one.attempts for one in kept), WAIT, "the host to offer its file")
            check(not kept[0].wait(2.0), "a file was acknowledged that is on no disk")
            check(ovvm.alive(), "the daemon ended")
        with tap.case(f"{error}: said once"):
            ovvm.logged_once(LEDGER_DOWN)
        with tap.case(f"{error} over: service resumes by itself, said once, everything arrives"):
            ovvm.set_fault("")
            check(all(one.wait(WAIT) for one in kept), "the host's files are taken now")
            traffic.offer(3, 2)
            traffic.quiet()
            traffic.settle()
            ovvm.logged_once(LEDGER_UP)
            ovvm.logged_once(LEDGER_DOWN)
            same(traffic.duplicates()[1], 0, "copies at the sink")


def client_reply(client: Client, number: int) -> str:
    """The reply to a further attempt in the same session."""
    again = letter(f"M8{number:06}")
    try:
        client.deliver(again)
    except (SmtpError, OSError):
        return "421 closed"
    return again.reply


def main() -> None:
    tap, args = start(__doc__, limit=900, options=options)
    if not failpoints(args.build):
        tap.skip("faults", "this build has no fault injection (-Dfaults=true)")
        tap.finish()
    for error in ("ENOSPC", "EIO"):
        full_disk(tap, args, error)
    in_turn(tap, args)
    tap.finish()


if __name__ == "__main__":
    main()
