#!/usr/bin/env python3
"""Files and letters like those that stopped the mail of others: each is delivered, reported or put aside, and the mail
goes on.

After each a good letter must pass in both directions. `--all` tries every size of a body up to 20,000.
"""

import argparse
import base64
import random
import sys
from datetime import datetime
from pathlib import Path
from typing import Callable

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import HOST, MAILNODE, Instance, Tap, check, same, start, until  # noqa: E402
from peer import netdata, wire  # noqa: E402
from peer.ebcdic import card  # noqa: E402
from peer.headers import PRINT, Dataset, Job, now_stck, segments  # noqa: E402
from peer.mail import Client, Letter, Sink, compose  # noqa: E402
from peer.nje import Node, Sending  # noqa: E402
from traffic import (HOST_MAILBOX, HOST_USER, OUTSIDE_ADDRESS, SENDER, letter, note_lines,  # noqa: E402
                     send_note, tokens_of)

WAIT = 60.0
BIG = 64 << 20
SIZES = (0, 1, 77, 78, 79, 255, 4095, 4096, 4097, 8192, 20000)
SIZES_END = 20001
WHEN = datetime(2026, 11, 24, 14, 3, 11)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="every size of a body")


class World:
    """A connector between a host node and a mail sink."""

    def __init__(self, ovvm: Instance, host: Node, sink: Sink) -> None:
        self.ovvm, self.host, self.sink = ovvm, host, sink
        self.number = 5_000_000

    def at_host(self) -> set[str]:
        with self.host.changed:
            files = list(self.host.received)
        # what is no text of ours holds no token either
        return set().union(*(tokens_of("\n".join(note_lines(one)).encode()) for one in files[-50:]))

    def at_sink(self) -> set[str]:
        with self.sink.changed:
            return set().union(*(tokens_of(one.content) for one in self.sink.letters[-50:]))

    def goes_on(self) -> None:
        """A good letter and a good note pass, and nothing waits any more."""
        self.number += 1
        with Client(self.ovvm.smtp) as client:
            check(client.deliver(letter(f"M{self.number:07}")), "250 for a good letter")
        send_note(self.host, f"H{self.number:07}")
        until(lambda: f"M{self.number:07}" in self.at_host() and f"H{self.number:07}" in self.at_sink(), WAIT,
              "a good letter to pass each way")
        until(lambda: not any(q["ready"] + q["held"] for q in self.queues()), WAIT, "the queues to be empty")

    def queues(self) -> list[dict[str, int]]:
        found: list[dict[str, int]] = self.ovvm.ovvm("status")["queues"]
        return found

    def counts(self) -> tuple[int, int, int]:
        """Letters at the sink, files at the host, items put aside."""
        return len(self.sink.letters), len(self.host.received), sum(q["quarantine"] for q in self.queues())

    def outcome(self, send: Callable[[], None]) -> tuple[int, int, int]:
        """What one thing became: (letters, files, items put aside) besides the good letter and note after it."""
        before = self.counts()
        send()
        self.goes_on()
        after = self.counts()
        return after[0] - before[0] - 1, after[1] - before[1] - 1, after[2] - before[2]


def from_host(tap: Tap, world: World) -> None:
    host = world.host

    def file(records: list[bytes], dest: tuple[str, str] = OUTSIDE_ADDRESS, **facts: object) -> Sending:
        return host.send_file(records, origin=HOST_USER, dest=dest, fn="GEORGEB", ft="NOTE", **facts)  # type: ignore

    def packed(lines: list[str], **facts: object) -> list[bytes]:
        return netdata.cms_note(lines, origin=HOST_USER, to=OUTSIDE_ADDRESS, when=WHEN, **facts)  # type: ignore

    def two_datasets() -> list[tuple[int, bytes]]:
        made = [(wire.SRCB_NJH, s) for s in segments(Job(HOST_USER, job_id=9001, entry=now_stck()).build())]
        for number, dest in enumerate((OUTSIDE_ADDRESS, (MAILNODE, "BOB")), 1):
            one = Dataset(dest, "GEORGEB", "NOTE", number=number)
            made += [(wire.SRCB_DSH, s) for s in segments(one.build())]
        return made

    good = b"".join(packed(["A note."]))
    noise = random.Random(7).randbytes
    empty = netdata.note([], origin=HOST_USER, to=OUTSIDE_ADDRESS, when=WHEN)
    anything = {(1, 0, 0), (0, 1, 0), (0, 0, 1)}
    delivered, reported, aside = {(1, 0, 0)}, {(0, 1, 0)}, {(0, 0, 1)}
    cases: list[tuple[str, Callable[[], Sending], set[tuple[int, int, int]]]] = [
        ("a file without a record", lambda: file([]), anything),
        ("a note of no lines", lambda: file(netdata.cards(empty)), delivered),
        ("a note of one empty line", lambda: file(packed([""])), delivered),
        ("a print file with machine carriage control",
         lambda: file([card(f"TOKEN-H{n:07}") for n in range(3)], srcb=0x90, carriage=b"\x09", medium=PRINT, lrecl=132),
         delivered),
        ("a note to the user SYSTEM", lambda: file([card("Hello.")], (MAILNODE, "SYSTEM")), reported | delivered),
        ("a note to no user", lambda: file([card("Hello.")], (MAILNODE, "")), reported),
        ("a file of two data sets", lambda: file([card("For both.")], headers=two_datasets()), {(2, 0, 0)}),
        ("a display name and subject of %s%n", lambda: file(packed(["%s%n%s%n"], subject="%s%n%s%n%x")), delivered),
        ("a subject of 300 characters", lambda: file(packed(["Hello."], subject="long " * 60)), delivered),
        ("NETDATA that ends in the middle", lambda: file(netdata.cards(good[:len(good) // 2])), aside | delivered),
        ("NETDATA whose second half is noise",
         lambda: file(netdata.cards(good[:100] + noise(1500))), aside | delivered),
        ("INMR01 with text units that point beyond it",
         lambda: file(netdata.cards(netdata.record(b"\xC9\xD5\xD4\xD9\xF0\xF1\x10\x11\xFF\xFF\xFF\xFF", control=True))),
         aside | delivered),
        ("noise on cards", lambda: file([noise(80) for _ in range(200)]), anything),
    ]
    for what, send, expected in cases:
        with tap.case(f"{what}: nothing is lost, the mail goes on"):
            got = world.outcome(lambda: check(send().wait(WAIT), "C0: it was taken"))  # noqa: B023
            check(got in expected, f"(letters, host files, put aside): got {got}, expected one of {expected}")


def mime(name: str, content: bytes, sender: str = SENDER) -> Letter:
    head = (f"From: <{sender}>\r\nTo: <{HOST_MAILBOX}>\r\nSubject: A file\r\nDate: Tue, 24 Nov 2026 14:03:11 +0000\r\n"
            "Message-ID: <file@test.invalid>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
            "--b\r\nContent-Type: text/plain\r\n\r\nHere it is.\r\n--b\r\nContent-Type: application/octet-stream\r\n"
            f"Content-Disposition: attachment; filename=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
    lines = base64.encodebytes(content).replace(b"\n", b"\r\n")
    return Letter(sender, [HOST_MAILBOX], head.encode() + lines + b"--b--\r\n")


def from_mail(tap: Tap, world: World) -> None:
    def with_from(text: str, headers: str = "") -> Letter:
        made = compose(SENDER, [HOST_MAILBOX], "%s%n%s%n", "Hello %s%n.", headers=headers)
        made.content = made.content.replace(f"From: <{SENDER}>".encode(), f"From: {text}".encode())
        return made

    note, note_and_file = {(0, 1, 0)}, {(0, 2, 0), (0, 1, 0)}
    cases = [
        ("a blank display name", with_from(f'"   " <{SENDER}>'), note),
        ("an empty display name", with_from(f'"" <{SENDER}>'), note),
        ("a display name of %s%n", with_from(f'"%s%n%s%n" <{SENDER}>'), note),
        ("a display name of 2,000 characters", with_from(f'"{"n" * 2000}" <{SENDER}>'), note),
        ("no sender in From", with_from("undisclosed"), note),
        ("a Reply-To that is no address", with_from(f"<{SENDER}>", "Reply-To: nobody at all\n"), note),
        ("a Reply-To of a domain that is not there",
         with_from(f"<{SENDER}>", "Reply-To: <x@no.such.domain.invalid>\n"), note),
        ("a file name with an extension of 60 characters", mime(f"report.{'x' * 60}", b"data\x00" * 100), note_and_file),
        ("a file name of dots and blanks", mime(" . . ", b"data\x00" * 100), note_and_file),
        ("a file of no bytes", mime("empty.bin", b""), note_and_file),
    ]
    for what, made, expected in cases:
        with tap.case(f"{what}: the letter arrives, the mail goes on"):
            def send() -> None:
                with Client(world.ovvm.smtp) as client:
                    check(client.deliver(made), f"250: {made.reply}")  # noqa: B023
            got = world.outcome(send)
            check(got in expected, f"(letters, host files, put aside): got {got}, expected one of {expected}")


def sizes(tap: Tap, world: World, every: bool) -> None:
    tried = list(range(SIZES_END)) if every else list(SIZES)
    with tap.case(f"bodies of {len(tried)} sizes from {tried[0]} to {tried[-1]} arrive whole in both directions"):
        for size in tried:
            letters, files, _ = world.counts()
            made = compose(SENDER, [HOST_MAILBOX], f"Size {size}", "")
            made.content = made.content.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + b"x" * size
            with Client(world.ovvm.smtp) as client:
                check(client.deliver(made), f"250 for {size}: {made.reply}")
            text = "x" * size
            lines = [text[at:at + 70] for at in range(0, size, 70)]
            cards = netdata.cms_note(lines, origin=HOST_USER, to=OUTSIDE_ADDRESS, when=WHEN)
            world.host.send_file(cards, origin=HOST_USER, dest=OUTSIDE_ADDRESS, fn="GEORGEB", ft="NOTE")
            note = note_lines(world.host.wait_for(files + 1, WAIT)[files])
            # the head may hold an x; the text has no line with anything else
            got = sum(len(line) for line in note if line and set(line) == {"x"})
            same(got, size, f"characters of a body of {size} at the host")
            mail = world.sink.wait_for(letters + 1, WAIT)[letters]
            same(mail.body.count(b"x"), size, f"characters of a note of {size} at the mail side")
        world.goes_on()


def too_big(tap: Tap, world: World) -> None:
    with tap.case("a file of 64 MB is refused at the door with the limit of 50 MB"), Client(world.ovvm.smtp) as client:
        made = mime("big.bin", bytes(BIG))
        reply = client.command(f"MAIL FROM:<{SENDER}> SIZE={len(made.content)}")
        check(reply.startswith("552 5.3.4"), f"with its size said: {reply}")
        check(not client.deliver(made) and made.reply.startswith("552 5.3.4"), f"without: {made.reply}")
        world.goes_on()


def big(tap: Tap, build: Path) -> None:
    with Sink() as sink, Instance(build, relay=("127.0.0.1", sink.port), conf={"smtp-in": {"max-size": "100M"}}) as ovvm, \
            Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port), quirks={"buffer": 32000}) as host, \
            tap.case("a file of 64 MB arrives where 100 MB are allowed"):
        content = random.Random(11).randbytes(BIG)
        made = mime("big.bin", content)
        with Client(ovvm.smtp, limit=WAIT) as client:
            check(client.deliver(made), f"250: {made.reply}")
        files = host.wait_for(2, 3 * WAIT)
        found = [b"".join(one) for spool in files for one in netdata.decode(spool.cards()).files]
        check(content in found, f"the file is whole: {[len(one) for one in found]}")
        ovvm.wait_empty(WAIT)


def main() -> None:
    tap, args = start(__doc__, limit=6 * 3600, options=options)
    with Sink() as sink, Instance(args.build, relay=("127.0.0.1", sink.port)) as ovvm, \
            Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
        check(host.wait_up(WAIT), "the link is up")
        world = World(ovvm, host, sink)
        world.goes_on()
        from_host(tap, world)
        from_mail(tap, world)
        sizes(tap, world, args.all)
        too_big(tap, world)
    big(tap, args.build)
    tap.finish()


if __name__ == "__main__":
    main()
