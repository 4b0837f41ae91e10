#!/usr/bin/env python3
"""Writes, syncs and allocations that fail, one after the other, and a disk that is full for a while.

When this fails, a full disk loses mail, or the connector needs an operator to take mail again. A sample of the calls fails,
with `--every` each of them in turn: of a first start, of a later start, and of the daemon at work, until one passes without
making so many calls. That takes an hour or two; `--every KIND…` does some of the kinds.
"""

import argparse
import json
import re
import shutil
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import Failed, Instance, Tap, check, failpoints, same, start, until  # noqa: E402
from peer.mail import Client, SmtpError  # noqa: E402
from traffic import Traffic, letter, note_lines, send_note  # noqa: E402

LATER = ("452", "451", "421")
LEDGER_DOWN, LEDGER_UP = "the ledger cannot be written", "the ledger can be written again"
WAIT = 30.0
EVERY = {"write-nospace": "write:{n}:ENOSPC", "write-error": "write:{n}:EIO", "sync-nospace": "sync:{n}:ENOSPC",
         "sync-error": "sync:{n}:EIO", "memory": "alloc:{n}"}
# Of which each such call fails without --every: primes, so that the sample is not in step with what is done in rounds.
SAMPLE = {"write": {"first-start": 29, "start": 1, "work": 13}, "sync": {"first-start": 3, "start": 1, "work": 3},
          "memory": {"first-start": 997, "start": 499, "work": 131}}
COUNTERS = struct.Struct("7q")  # of OVVM_FAULT_CALLS: settings, then calls and failed calls of each kind
REPORT_STEPS = 100  # between two words about how far it is
ACCOUNT_STEPS = 25  # starts between two accounts of the mail
FAILURES_MAX = 20  # of one kind and part: more would say the same
# Calls in a row that a start survived: the doors are open, and what goes on is the ledger's thread, which reserves a thousand
# NJE job ids with the same few lines. Fewer for a sample, but as many starts as that.
PASSED_MAX, PASSED_STARTS = 500, 3
CALLS_MAX = 1_000_000  # more would mean that the count does not work


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--every", nargs="*", choices=list(EVERY), metavar="KIND",
                        help=f"every call in turn; all kinds, or some of {' '.join(EVERY)}")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS), help="what fails")
    parser.add_argument("--from", type=int, default=1, dest="first", help="the first call that fails")
    parser.add_argument("--step", type=int, help="only each such call (1 with --every, else a sample)")


# --- a full disk ---


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


# --- one call fails ---


class Account:
    """What the daemon counts, whether it lives or not."""

    def __init__(self, ovvm: Instance) -> None:
        self.path = ovvm.directory / "calls"
        self.shapes: set[str] = set()  # of what arrives when nothing fails
        ovvm.environment.update(OVVM_FAULT_FILE=str(ovvm.fault_file), OVVM_FAULT_CALLS=str(self.path), OVVM_FAULT_TRACE="1")

    def read(self) -> tuple[int, ...]:
        return COUNTERS.unpack(self.path.read_bytes())

    def failed(self) -> int:
        """Calls that failed since the last setting."""
        return sum(self.read()[2::2])


def set_fault(ovvm: Instance, account: Account, fault: str) -> None:
    before = account.read()[0]
    ovvm.set_fault(fault)
    until(lambda: account.read()[0] > before, WAIT, "the daemon to read its fault file")


def words(ovvm: Instance, said: int) -> list[str]:
    """The log since then, without the backtraces of OVVM_FAULT_TRACE."""
    return [line for line in ovvm.log_lines()[said:] if not line.endswith("]")]


def ended_well(ovvm: Instance, said: int) -> str:
    """A daemon that ended by itself did so with a status and a word; its last line."""
    status = ovvm.wait_end(WAIT)
    lines = words(ovvm, said)
    check(status > 0, f"ended with status {status}: by a signal, or as if nothing were wrong: {lines[-5:]}")
    check(lines, f"ended with status {status} without a word")
    return f"ended with status {status}: {lines[-1]}"


def all_there(traffic: Traffic) -> bool:
    """Every letter offered has arrived and is recorded as sent. A status that cannot be had, for the fault met the asking
    itself, is asked for again."""
    if traffic.load.refused:
        raise Failed(f"mail was refused for good because of a passing fault: {traffic.load.refused[-1].reply}")
    arrived = len(traffic.at_host()) + len(traffic.at_sink())
    if arrived < traffic.number:
        return False
    done = traffic.ovvm.run("status", "--json")
    if done.returncode != 0:
        return False
    queues = json.loads(done.stdout)["queues"]
    check(not any(q["quarantine"] for q in queues), f"letters in quarantine: {queues}")
    return not any(q["ready"] + q["held"] for q in queues)


def shapes(traffic: Traffic, files: int, letters: int) -> set[str]:
    """What arrived since there were so many, without what differs in each: nothing may be missing in one for want of memory,
    and none may come from somebody else."""
    def plain(text: str) -> str:
        return re.sub(r"[MH]\d{7}|\d+ \w+ \d+, [\d:]+|\w+, \d+ \w+ \d+ [\d:]+|<\w{26}@", "#", text)

    with traffic.node.changed:
        found = {plain("\n".join(note_lines(spool))) for spool in traffic.node.received[files:]}
    with traffic.sink.changed:
        return found | {plain(f"{one.sender} {one.recipients} {one.content.decode()}") for one in traffic.sink.letters[letters:]}


def work_step(traffic: Traffic, account: Account, fault: str) -> tuple[bool, str]:
    """One call of the running daemon fails, or none did: False. What came of it otherwise."""
    ovvm = traffic.ovvm
    said = len(ovvm.log_lines())
    copies = traffic.duplicates()
    files, letters = len(traffic.node.received), len(traffic.sink.letters)
    set_fault(ovvm, account, fault)
    traffic.offer(1, 1)
    until(lambda: not ovvm.alive() or all_there(traffic), 2 * WAIT, "the load to pass, or the daemon to end")
    failed = account.failed() > 0
    what = "went on"
    if not ovvm.alive():
        what = ended_well(ovvm, said)
        ovvm.start()
        until(lambda: all_there(traffic), 2 * WAIT, "the load to pass after the next start")
    else:
        set_fault(ovvm, account, "")
    lines = words(ovvm, said)
    for text in (LEDGER_DOWN, LEDGER_UP):
        found = [line for line in lines if text in line]
        check(len(found) <= 1, f"said more than once: {found}")
    host, sink = (now - before for now, before in zip(traffic.duplicates(), copies))
    # H1 and R1 of the ledger's table: the answer that all of it was taken is lost with its connection
    check(host <= 1 and sink <= 1, f"copies: host {host}, sink {sink}; it {what}")
    answers = {one.reply[:3] for one in traffic.load.deferred}
    check(answers <= set(LATER), f"answers to mail that could not be kept: {sorted(answers)}")
    same(shapes(traffic, files, letters), account.shapes, "what arrived")
    return failed, what


def start_step(traffic: Traffic, account: Account, fault: str, first: bool) -> tuple[bool, str]:
    """One call of a start fails, or none did. `first`: of the start that makes the ledger."""
    ovvm = traffic.ovvm
    if first:
        shutil.rmtree(ovvm.state)
        ovvm.state.mkdir()
    said = len(ovvm.log_lines())
    account.path.unlink(missing_ok=True)
    ovvm.launch(OVVM_FAULT=fault)
    until(lambda: not ovvm.alive() or ovvm.ready(), WAIT, "the daemon to take mail, or to end")
    failed = account.path.exists() and account.failed() > 0
    what = "went on"
    if ovvm.alive():
        ovvm.stop()
    else:
        what = ended_well(ovvm, said)
    return failed, what


def mail_passes(traffic: Traffic) -> None:
    """A start without a fault, and mail both ways."""
    traffic.ovvm.start()
    traffic.offer(1, 1)
    until(lambda: all_there(traffic), 2 * WAIT, "the load to pass")
    traffic.ovvm.stop()


def work(traffic: Traffic, account: Account, fault: str, number: int) -> tuple[bool, str]:
    if not traffic.ovvm.alive():
        traffic.ovvm.start()
        traffic.offer(1, 1)  # what is made at the first letter only is made
        until(lambda: all_there(traffic), 2 * WAIT, "the load to pass")
        account.shapes = account.shapes or shapes(traffic, 0, 0)
    return work_step(traffic, account, fault)


def first_start(traffic: Traffic, account: Account, fault: str, number: int) -> tuple[bool, str]:
    result = start_step(traffic, account, fault, True)
    if number % ACCOUNT_STEPS == 0 or not result[0]:
        mail_passes(traffic)
    return result


def later_start(traffic: Traffic, account: Account, fault: str, number: int) -> tuple[bool, str]:
    if number == 0:
        mail_passes(traffic)
    result = start_step(traffic, account, fault, False)
    if number % ACCOUNT_STEPS == 0 or not result[0]:
        mail_passes(traffic)
    return result


PARTS = {"first-start": first_start, "start": later_start, "work": work}


def in_turn(tap: Tap, args: argparse.Namespace, kind: str, part: str, step: int) -> None:
    """Call number args.first, and each `step`-th after it, until one is not reached, or a start is long over. A failing one is
    a result; the next goes on with an instance of its own."""
    n, reached, failures = args.first, True, tap.failures
    enough = max(PASSED_STARTS, PASSED_MAX // step)
    while reached and tap.failures - failures < FAILURES_MAX:
        ways: set[str] = set()
        passed = 0
        with tap.case(f"{kind}, {part}: {'every call' if step == 1 else f'one call in {step}'} from number {n} on fails in turn; "
                      "answered 4xx or kept, nothing acknowledged is lost"), Traffic(args.build, retry_limit=1e9) as traffic:
            account = Account(traffic.ovvm)
            try:
                for number in range(CALLS_MAX):
                    reached, what = PARTS[part](traffic, account, EVERY[kind].format(n=n), number)
                    way = re.sub(r"\d+", "#", what)
                    if way not in ways:
                        tap.diagnose(f"{kind}, {part}, call {n}: {what}")
                    ways.add(way)
                    if number % REPORT_STEPS == REPORT_STEPS - 1:
                        tap.diagnose(f"{kind}, {part}: call {n}")
                    passed = passed + 1 if what == "went on" else 0
                    if part != "work" and passed == enough:
                        tap.diagnose(f"{kind}, {part}: the last {passed} starts went on, up to call {n}")
                        mail_passes(traffic)
                        reached = False
                        break
                    if not reached:
                        tap.diagnose(f"{kind}, {part}: there is no call {n}")
                        break
                    n += step
            except Exception:
                tap.diagnose(f"{kind}, {part}: at call {n}")
                n += step
                raise


def main() -> None:
    tap, args = start(__doc__, limit=900, options=options)
    if not failpoints(args.build):
        tap.skip("faults", "this build has no fault injection (-Dfaults=true)")
        tap.finish()
    if args.every is None:
        for error in ("ENOSPC", "EIO"):
            full_disk(tap, args, error)
    for kind in args.every or EVERY:
        for part in args.parts:
            in_turn(tap, args, kind, part, args.step or (1 if args.every is not None else SAMPLE[kind.partition("-")[0]][part]))
    tap.finish()


if __name__ == "__main__":
    main()
