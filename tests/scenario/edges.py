#!/usr/bin/env python3
"""The rare cases: very many recipients, a file for several users, bytes that mail does not carry, a disk that fills up in
mid-file or while mail waits for the relay, and being stopped at an awkward moment.

When this fails, one odd letter is lost or stays for ever, or the daemon dies of it.
"""

import argparse
import signal
import sys
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import HOST, MAILNODE, Instance, Tap, check, failpoints, same, start, until  # noqa: E402
from peer import wire  # noqa: E402
from peer.ebcdic import card  # noqa: E402
from peer.headers import Dataset, Job, segments  # noqa: E402
from peer.mail import Client, Sink, compose  # noqa: E402
from peer.nje import Node  # noqa: E402
from traffic import HOST_MAILBOX, HOST_USER, OUTSIDE_ADDRESS, SENDER, letter, note_lines, send_note  # noqa: E402

WAIT = 25.0
RECIPIENTS = 400  # more than there are NJE job ids at hand


def many_recipients(tap: Tap, ovvm: Instance, host: Node) -> None:
    users = [f"U{number:05}" for number in range(RECIPIENTS)]
    addresses = [f"{user.lower()}@{HOST.lower()}.vm.example.org" for user in users]
    with tap.case(f"a letter to {RECIPIENTS} host users reaches each of them, once"):
        with Client(ovvm.smtp) as client:
            check(client.deliver(compose(SENDER, addresses, "To all", "TOKEN-M0000001")), "250")
            check(client.deliver(letter("M0000002")), "250 to the next one")
        until(lambda: len(host.received) > RECIPIENTS, WAIT, f"{RECIPIENTS} files and one (are {len(host.received)})")
        ovvm.wait_empty()
        same(sorted(spool.dataset.dest[1] for spool in host.received), sorted([*users, HOST_USER[1]]), "who got one")
        ids = [spool.job.job_id for spool in host.received]
        same(len(set(ids)), len(ids), "job ids, each its own")
    host.received.clear()
    with tap.case("a large letter to many arrives whole at each"):
        text = "\n".join(f"line {number} of a text longer than a chunk of the ledger" for number in range(20000))
        with Client(ovvm.smtp) as client:
            check(client.deliver(compose(SENDER, addresses[:40], "To many", text)), "250")
        until(lambda: len(host.received) >= 40, WAIT, f"40 files (are {len(host.received)})")
        check(all("line 19999 of" in note_lines(spool)[-1] for spool in host.received), "the last line is there")
        ovvm.wait_empty()


def several_destinations(tap: Tap, ovvm: Instance, host: Node, sink: Sink) -> None:
    before = len(sink.letters)
    with tap.case("a file for several users of ours reaches each of them"):
        job = Job(HOST_USER, job_id=77, entry=0x00E1_0000_0000_0000, records=1)
        headers = [(wire.SRCB_NJH, segment) for segment in segments(job.build())]
        users = ["ALICE", "BOB", "CAROL"]
        for number, user in enumerate(users, 1):
            dataset = Dataset((MAILNODE, user), "NAME", "NOTE", records=1, number=number)
            headers += [(wire.SRCB_DSH, segment) for segment in segments(dataset.build())]
        sending = host.send_file([card("TOKEN-H0000003")], origin=HOST_USER, dest=OUTSIDE_ADDRESS, headers=headers)
        check(sending.wait(WAIT), "C0")
        ovvm.wait_empty()
        got = sink.letters[before:]
        same(sorted(r for one in got for r in one.recipients), [f"{user.lower()}@outside.example" for user in users],
             "who got it")
        check(all(b"TOKEN-H0000003" in one.content for one in got), "each with the text")


def odd_bytes(tap: Tap, ovvm: Instance, host: Node, sink: Sink) -> None:
    before = len(sink.letters)
    with tap.case("line ends and NULs within a record become no line ends of mail"):
        odd = card("ABC")[:3] + b"\x25\x4b\x25\x0d\x4b\x0d\x25\x00\x15" + card("TOKEN-H0000004")
        check(host.send_file([odd], origin=HOST_USER, dest=OUTSIDE_ADDRESS).wait(WAIT), "C0")
        got = sink.wait_for(before + 1, WAIT)[-1]
        rest = got.content.replace(b"\r\n", b"")
        check(not any(byte in rest for byte in b"\r\n\0"), f"no lone CR, LF, NUL: {got.body!r}")
        check(b"TOKEN-H0000004" in got.content, "the text is there")
    with tap.case("a file without records, one to nobody: taken, and the link stays"):
        check(host.send_file([], origin=HOST_USER, dest=OUTSIDE_ADDRESS).wait(WAIT), "C0 for no records")
        check(host.send_file([card("x")], origin=HOST_USER, dest=(MAILNODE, "")).wait(WAIT), "C0 for nobody")
        check(send_note(host, "H0000005").wait(WAIT), "C0 for the next")
        sink.wait_until(lambda letters: any(b"TOKEN-H0000005" in one.content for one in letters), WAIT, "the next note")
        same(host.connections, 1, "sign-ons")


def full(ovvm: Instance) -> bool:
    return any("the ledger cannot be written" in line for line in ovvm.log_lines())


def disk_full(tap: Tap, args: argparse.Namespace) -> None:
    with Sink() as sink, Instance(args.build, relay=("127.0.0.1", sink.port)) as ovvm, \
            Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
        ovvm.stop()
        ovvm.environment["OVVM_FAULT_FILE"] = str(ovvm.fault_file)
        ovvm.start()
        with tap.case("the disk fills up in the middle of a large file: the host keeps it, then it arrives"):
            check(host.wait_up(WAIT), "signed on")
            host.at("send:data:4000", lambda connection: ovvm.set_fault("write:1+:ENOSPC"))
            host.at("send:EOF", lambda connection: until(lambda: full(ovvm), WAIT, "the full disk"))  # the end comes later
            lines = [f"record {number} ".ljust(80, ".") for number in range(9010)]
            sending = host.send_file(lines, origin=HOST_USER, dest=OUTSIDE_ADDRESS)
            until(lambda: full(ovvm), WAIT, "the full disk")
            check(not sending.wait(1.0), "acknowledged without a disk")
            check(ovvm.alive(), "the daemon ended")
            ovvm.set_fault("")
            check(sending.wait(WAIT), "C0 when there is room")
            sink.wait_until(lambda letters: any(b"record 9009" in one.content for one in letters), WAIT, "the file")


def room_again(tap: Tap, args: argparse.Namespace) -> None:
    """The relay's client looks for letters while the ledger cannot be written: it must look again by itself."""
    with Sink() as sink, Instance(args.build, relay=("127.0.0.1", sink.port)) as ovvm, \
            Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
        ovvm.stop()
        ovvm.environment["OVVM_FAULT_FILE"] = str(ovvm.fault_file)
        ovvm.start()
        with tap.case("a letter whose next try comes while the disk is full is sent when there is room"):
            sink.on_rcpt = lambda recipient: "451 4.3.0 later"
            check(send_note(host, "H0000001").wait(WAIT), "C0")
            until(lambda: deferred(ovvm), WAIT, "the relay to put it off")
            ovvm.set_fault("write:1+:ENOSPC")
            with Client(ovvm.smtp) as client:
                check(not client.deliver(letter("M0000009")), "no 250 without a disk")
            due = max(item["due"] for item in deferred(ovvm))
            until(lambda: f"{datetime.now(timezone.utc) - timedelta(seconds=1):%FT%T}" > due, WAIT, "the time of its next try")
            sink.on_rcpt = lambda recipient: None
            ovvm.set_fault("")
            sink.wait_for(1, WAIT)
            ovvm.wait_empty()


def deferred(ovvm: Instance) -> list[dict[str, str]]:
    return [item for item in ovvm.ovvm("queue", "list")["items"] if item["queue"] == "mail_out" and item["attempts"]]


def stopped(tap: Tap, args: argparse.Namespace) -> None:
    with tap.case("SIGTERM while the doors are being opened ends the daemon in order"):
        ovvm = Instance(args.build, environment={"OVVM_FAILPOINT": "store.before-commit=pause:1000"})
        ovvm.launch()
        until(lambda: (ovvm.state / "ovvm.db-wal").exists() or not ovvm.alive(), WAIT, "the ledger")
        until(lambda: catches_stop(ovvm.pid), WAIT, "the daemon to catch signals")
        ovvm.stop()
    with tap.case("a second SIGTERM ends it at once, in the middle of a letter and a file"), Instance(args.build) as ovvm, \
            Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host, Client(ovvm.smtp) as client:
        check(host.wait_up(WAIT), "signed on")
        sent, over = threading.Event(), threading.Event()
        host.at("send:data:9000", lambda connection: (sent.set(), over.wait(WAIT)))
        host.send_file([f"record {number} ".ljust(80, ".") for number in range(9010)], origin=HOST_USER, dest=OUTSIDE_ADDRESS)
        for command in (f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{HOST_MAILBOX}>", "DATA"):
            client.command(command)
        client.send(b"Subject: x\r\n\r\n" + b"a line of a letter\r\n" * 40000)
        check(sent.wait(WAIT), "the file is on its way")
        ovvm.signal(signal.SIGTERM)
        ovvm.wait_log("stopping", WAIT)
        ovvm.stop()
        over.set()


def catches_stop(pid: int) -> bool:
    masks = dict(line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    return bool(int(masks["SigCgt"], 16) >> (signal.SIGTERM - 1) & 1)


def main() -> None:
    tap, args = start(__doc__, limit=600)
    with Sink() as sink, Instance(args.build, relay=("127.0.0.1", sink.port)) as ovvm, \
            Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
        check(host.wait_up(WAIT), "signed on")
        many_recipients(tap, ovvm, host)
        several_destinations(tap, ovvm, host, sink)
        odd_bytes(tap, ovvm, host, sink)
    if failpoints(args.build):
        disk_full(tap, args)
        room_again(tap, args)
        stopped(tap, args)
    tap.finish()


if __name__ == "__main__":
    main()
