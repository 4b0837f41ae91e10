#!/usr/bin/env python3
"""The ledger is damaged, the clock is set back, a link is taken away, a translator dies in the middle of a letter for many.

When this fails, half a letter goes out as a whole one, letters wait for hours or for ever without a word, or one letter
comes twice.
"""

import argparse
import os
import signal
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import HOST, MAILNODE, Instance, Skip, Tap, check, failpoints, free_port, same, start, until  # noqa: E402
from peer.ebcdic import card  # noqa: E402
from peer.mail import Client, Sink, compose  # noqa: E402
from peer.nje import Node  # noqa: E402
from traffic import HOST_MAILBOX, HOST_USER, OUTSIDE_ADDRESS, SENDER, letter, note_lines, send_note, tokens_of  # noqa: E402

WAIT = 40.0
LARGE = 64 * 1024 * 1024  # two of these have their turn together, a third one waits
CANCEL_WAIT = 90.0  # a stream rests for a minute after a file was broken off
CHUNK_LINES = [f"line {number} of a text that is longer than a chunk of the ledger" for number in range(14000)]
GONE = "ELM"


def ledger(ovvm: Instance, sql: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(ovvm.state / "ovvm.db", timeout=10)) as db, db:
        return db.execute(sql, values).fetchall()


def items(ovvm: Instance, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ovvm.ovvm("queue", "list", *words)["items"]
    return found


def at_host(host: Node) -> set[str]:
    with host.changed:
        files = list(host.received)
    return set().union(*(tokens_of("\n".join(note_lines(spool)).encode()) for spool in files))


def at_sink(sink: Sink) -> set[str]:
    with sink.changed:
        return set().union(*(tokens_of(one.content) for one in sink.letters))


# --- a piece is missing ---


def fill(ovvm: Instance, queue: str) -> None:
    """One large letter into each queue of a direction; where it is to be translated the daemon is killed before that."""
    kills = queue in ("host_in", "mail_in")
    ovvm.start(**({"OVVM_FAILPOINT": "translate.before-commit"} if kills else {}))
    if queue in ("mail_in", "host_out"):
        with Client(ovvm.smtp) as client:
            check(client.deliver(letter("M0000001", "\n".join(CHUNK_LINES))), "250")
    else:
        with Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
            check(send_note(host, "H0000001", CHUNK_LINES).wait(WAIT), "C0")
            if not kills:
                until(lambda: items(ovvm, "--queue", queue), WAIT, f"the letter in {queue}")
    if kills:
        until(lambda: not ovvm.alive(), WAIT, "the daemon to be killed")
        ovvm.kill()
        ovvm.logs[-1].join(5)
    else:
        until(lambda: items(ovvm, "--queue", queue), WAIT, f"the letter in {queue}")
        ovvm.stop()


def missing_piece(tap: Tap, args: argparse.Namespace) -> None:
    for number, (queue, piece) in enumerate((queue, piece) for queue in ("host_in", "mail_out", "mail_in", "host_out")
                                            for piece in (0, 1)):
        with tap.case(f"piece {piece} of a letter in {queue} is missing: it is kept with the reason, none of it goes out, "
                      "and the next one passes"):
            if queue in ("host_in", "mail_in") and not failpoints(args.build):
                raise Skip("no failpoints in this build")
            with Sink() as sink:
                ovvm = Instance(args.build)
                with ovvm:
                    ovvm.stop()
                    fill(ovvm, queue)
                    same(len(ledger(ovvm, "DELETE FROM content WHERE chunk = 65536 * (SELECT key FROM item WHERE queue > 0) + ?"
                                    " RETURNING chunk", piece)), 1, "pieces deleted")
                    ovvm.sections["smtp-out"]["relay"] = f"127.0.0.1:{sink.port}"
                    ovvm.write_conf()
                    ovvm.start()
                    with Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
                        kept = until(lambda: items(ovvm, "--state", "quarantine"), WAIT, "the letter in quarantine")
                        check("the ledger holds no content" in kept[0]["reason"], f"reason: {kept[0]['reason']}")
                        check(any("goes into quarantine" in line for line in ovvm.log_lines()), "the log says so")
                        steps = ovvm.ovvm("trace", kept[0]["id"])["steps"]
                        check(any(one["step"] == "quarantine" for one in steps), f"ovvm trace says so: {steps}")
                        token = f"{number + 10:07}"
                        with Client(ovvm.smtp) as client:
                            check(client.deliver(letter(f"M{token}")), "250 for the next")
                        check(send_note(host, f"H{token}").wait(WAIT), "C0 for the next")
                        until(lambda: f"M{token}" in at_host(host) and f"H{token}" in at_sink(sink), CANCEL_WAIT,
                              "the next ones to pass")
                        same((at_host(host), at_sink(sink)), ({f"M{token}"}, {f"H{token}"}), "what was delivered")


# --- a translator dies ---


def translators(ovvm: Instance) -> list[int]:
    def listed(pid: int) -> list[int]:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [pid for zygote in listed(ovvm.pid) for pid in listed(zygote)]


def dies_in_the_middle(tap: Tap, args: argparse.Namespace) -> None:
    users = [f"U{number:03}" for number in range(70)]
    with tap.case("a translator that dies in a letter for many: each recipient has it once"), \
            Instance(args.build) as ovvm, Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
        if not failpoints(args.build):
            raise Skip("no failpoints in this build")
        ovvm.stop()
        ovvm.start(OVVM_FAILPOINT="translate.committed=pause:3000")
        with Client(ovvm.smtp) as client:
            client.deliver(compose(SENDER, [f"{user.lower()}@{HOST.lower()}.vm.example.org" for user in users], "To all", "x"))
        until(lambda: ledger(ovvm, "SELECT count(*) FROM item WHERE queue = 4")[0][0], WAIT, "the first files in host_out")
        stopped = translators(ovvm)  # while the daemon pauses between two parts of the letter
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        ovvm.wait_log("is now", WAIT)
        for pid in stopped:
            os.kill(pid, signal.SIGKILL)
        ovvm.wait_log("tried once more", WAIT)
        until(lambda: len({spool.dataset.dest[1] for spool in host.received}) == len(users), WAIT, "a file for each")
        ovvm.wait_empty()
        same(Counter(spool.dataset.dest[1] for spool in host.received), Counter(users), "who got how many")


# --- the clock ---


def set_back(tap: Tap, args: argparse.Namespace) -> None:
    with tap.case("the clock is set back an hour: letters that came before do not wait for it"), Sink() as sink, \
            Instance(args.build, relay=("127.0.0.1", sink.port)) as ovvm:
        if not failpoints(args.build):
            raise Skip("no faults in this build")
        ovvm.stop()
        ovvm.environment["OVVM_FAULT_FILE"] = str(ovvm.fault_file)
        ovvm.start(OVVM_FAULT="clock:3600")
        with Client(ovvm.smtp) as client:
            check(client.deliver(letter("M0000001")), "250")
        until(lambda: items(ovvm, "--queue", "host_out"), WAIT, "the file")
        ovvm.set_fault("clock:0")
        with Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
            until(lambda: "M0000001" in at_host(host), WAIT, "the file at the host")
            line = ovvm.logged_once("the clock was set back")
            check("3600 s" in line or "3599 s" in line, line)
            ovvm.wait_empty()
    with tap.case("the same while the daemon is down, and one that was put off for later"), Sink() as sink, \
            Instance(args.build, relay=("127.0.0.1", sink.port)) as ovvm:
        if not failpoints(args.build):
            raise Skip("no faults in this build")
        ovvm.stop()
        ovvm.start(OVVM_FAULT="clock:7200")
        sink.on_rcpt = lambda recipient: "451 4.3.0 later"
        with Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
            check(send_note(host, "H0000001").wait(WAIT), "C0")
            until(lambda: [one for one in items(ovvm, "--queue", "mail_out") if one["attempts"]], WAIT, "a try")
        with Client(ovvm.smtp) as client:
            check(client.deliver(letter("M0000002")), "250")
        until(lambda: items(ovvm, "--queue", "host_out"), WAIT, "the file")
        ovvm.stop()
        sink.on_rcpt = lambda recipient: None
        ovvm.start()
        with Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
            until(lambda: "M0000002" in at_host(host) and "H0000001" in at_sink(sink), WAIT, "both")


# --- a link that is gone ---


def link_gone(tap: Tap, args: argparse.Namespace) -> None:
    ways = {f"link {GONE}": {"kind": "rscs", "listen": f"127.0.0.1:{free_port()}", "allow": "127.0.0.1", "nodes": GONE}}
    if not failpoints(args.build):
        tap.skip("files for a link that is gone", "no faults in this build")
        return
    with Sink() as sink, Instance(args.build, relay=("127.0.0.1", sink.port), conf=ways) as ovvm:
        with Client(ovvm.smtp) as client:
            check(client.deliver(compose(SENDER, [f"eve@{GONE.lower()}.vm.example.org"], "For nobody", "TOKEN-M0000001")), "250")
            check(client.deliver(compose("", [f"eve@{GONE.lower()}.vm.example.org"], "A report", "TOKEN-M0000002")), "250")
        until(lambda: len(items(ovvm, "--queue", "host_out")) == 2, WAIT, "the files")
        ovvm.stop()
        del ovvm.sections[f"link {GONE}"]
        ovvm.write_conf()
        with tap.case("a link is taken out of the configuration: status shows what waits for it and what to do"):
            ovvm.start()
            warnings = [one for one in ovvm.ovvm("status")["warnings"] if GONE in one["text"]]
            same(len(warnings), 1, f"warnings: {warnings}")
            check("2 files wait" in warnings[0]["text"] and "lifetime" in warnings[0]["remedy"], f"says: {warnings[0]}")
            check(not sink.letters, "nothing is returned before its lifetime is over")
        with tap.case("after the lifetime the sender is told; what nobody can be told of is kept"):
            ovvm.stop()
            ovvm.start(OVVM_FAULT=f"clock:{6 * 86400}")
            report = sink.wait_for(1, WAIT)[0]
            same(report.recipients, [SENDER], "who is told")
            check(b"5.4.7" in report.content and GONE.encode() in report.content, f"the report: {report.body!r}")
            kept = until(lambda: items(ovvm, "--state", "quarantine"), WAIT, "the other one in quarantine")
            check("no link leads to" in kept[0]["reason"], f"reason: {kept[0]['reason']}")
            until(lambda: not items(ovvm, "--state", "ready"), WAIT, "nothing else to wait")
            same(len(sink.letters), 1, "reports")


# --- a full queue ---


def full_queue(tap: Tap, args: argparse.Namespace) -> None:
    with tap.case("the queue that is full is the one that is named, and mail goes on when it has room"), Sink() as sink, \
            Instance(args.build, relay=("127.0.0.1", sink.port), conf={"limits": {"queue-depth": "10"}}) as ovvm, \
            Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
        sink.on_rcpt = lambda recipient: "451 4.3.0 later"
        notes = [send_note(host, f"H{number:07}") for number in range(30)]
        ovvm.wait_log("queue mail_out is at its limit", WAIT)
        ovvm.wait_log("queue host_in is at its limit", WAIT)
        sink.on_rcpt = lambda recipient: None
        check(all([note.wait(WAIT) for note in notes]), "C0 for each")
        until(lambda: len(at_sink(sink)) == 30, WAIT, "all notes")
        ovvm.wait_log("queue mail_out has room again", WAIT)
        ovvm.wait_log("queue host_in has room again", WAIT)
        check(not any("queue mail_in" in line or "queue host_out" in line for line in ovvm.log_lines()), "no other")
        same(sum(spool.content.count(b"TOKEN-") for spool in sink.letters), 30, "each once")


# --- large letters ---


def large_ones(tap: Tap, args: argparse.Namespace) -> None:
    with tap.case("large letters take turns, and small ones go past those that wait"), \
            Instance(args.build, conf={"smtp-in": {"max-size": "200M"}}) as ovvm:
        program = Path(f"/proc/{ovvm.pid}/exe")
        line = b"a line of a letter that is very large indeed, of seventy-two characters.\r\n"
        with Client(ovvm.smtp, limit=120.0) as client:
            for number in range(3):
                for command in (f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{HOST_MAILBOX}>", "DATA"):
                    client.command(command)
                client.send(b"Subject: large\r\n\r\n" + line * (LARGE // len(line)))
                check(client.command(".").startswith("250"), "250")
        with Client(ovvm.smtp) as client:
            check(client.deliver(letter("M0000009")), "250")
        until(lambda: len(items(ovvm, "--queue", "host_out")) == 4, 240.0, "all files in host_out")
        peak = [line for line in Path(f"/proc/{ovvm.pid}/status").read_text().splitlines() if line.startswith("VmHWM")][0]
        tap.diagnose(peak)
        if "libasan" not in Path(f"/proc/{ovvm.pid}/maps").read_text() and b"__asan_init" not in program.read_bytes():
            check(int(peak.split()[1]) < 1024 * 1024, f"memory at most: {peak}")  # a sanitizer keeps what was freed


def main() -> None:
    tap, args = start(__doc__, limit=900)
    missing_piece(tap, args)
    dies_in_the_middle(tap, args)
    set_back(tap, args)
    link_gone(tap, args)
    full_queue(tap, args)
    large_ones(tap, args)
    tap.finish()


if __name__ == "__main__":
    main()
