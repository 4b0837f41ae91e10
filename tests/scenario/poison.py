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
from peer.headers import PRINT, Dataset, Job, SpoolFile, now_stck, segments  # noqa: E402
from peer.mail import CRLF, Client, Letter, Load, Sink, compose  # noqa: E402
from peer.nje import Node, Sending  # noqa: E402
from traffic import HOST_MAILBOX, HOST_USER, OUTSIDE_ADDRESS, SENDER, letter, note_lines, send_note, tokens_of  # noqa: E402

WAIT = 60.0
BIG = 64 << 20
SIZES = (0, 1, 77, 78, 79, 255, 4095, 4096, 4097, 8192, 20000)
SIZES_END = 20001
BATCH, BATCH_WAIT = 500, 300.0  # letters in flight at once
COLUMNS = 70
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

    def outcome(self, send: Callable[[], None]) -> tuple[tuple[int, int, int], str]:
        """What one thing became: (letters, files, items put aside) besides the good letter and note after it, and the text
        of all that arrived."""
        before = self.counts()
        send()
        self.goes_on()
        after = self.counts()
        texts = [one.content.decode("utf-8", "replace") for one in self.sink.letters[before[0]:]]
        texts += ["\n".join(note_lines(one)) for one in self.host.received[before[1]:]]
        return (after[0] - before[0] - 1, after[1] - before[1] - 1, after[2] - before[2]), "\n".join(texts)

    def expect(self, send: Callable[[], None], counts: tuple[int, int, int], said: list[str]) -> None:
        got, text = self.outcome(send)
        same(got, counts, "(letters, host files, put aside)")
        missing = [one for one in said if one not in text]
        check(not missing, f"not in what arrived: {missing}")


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
    delivered, reported = (1, 0, 0), (0, 1, 0)
    no_user = "Reason: 5.1.1 there is no user MICROSFT"
    attached = "GEORGEB.bin is attached as the host sent it"  # nobody but the reader can know what it was meant to be
    cases: list[tuple[str, Callable[[], Sending], tuple[int, int, int], list[str]]] = [
        ("a file without a record", lambda: file([]), delivered, []),
        ("a note of no lines", lambda: file(netdata.cards(empty)), delivered, []),
        ("a note of one empty line", lambda: file(packed([""])), delivered, []),
        ("a print file with machine carriage control",
         lambda: file([card(f"TOKEN-H{n:07}") for n in range(3)], srcb=0x90, carriage=b"\x09", medium=PRINT, lrecl=132),
         delivered, ["TOKEN-H0000000\r\nTOKEN-H0000001\r\nTOKEN-H0000002\r\n"]),
        ("a note to the user SYSTEM", lambda: file([card("Hello.")], (MAILNODE, "SYSTEM")), reported, [f"{no_user}(SYSTEM)"]),
        ("a note to no user", lambda: file([card("Hello.")], (MAILNODE, "")), reported, ["Reason: 5.1.1 the file is addressed to no user"]),
        ("a file of two data sets", lambda: file([card("For both.")], headers=two_datasets()), (2, 0, 0), ["For both."]),
        ("a display name and subject of %s%n", lambda: file(packed(["%s%n%s%n"], subject="%s%n%s%n%x")), delivered,
         ["Subject: %s%n%s%n%x\r\n", "\r\n%s%n%s%n\r\n"]),
        ("a subject of 300 characters", lambda: file(packed(["Hello."], subject="long " * 60)), delivered, ["Hello."]),
        ("NETDATA that ends in the middle", lambda: file(netdata.cards(good[:len(good) // 2])), delivered,
         [f"{attached}: NETDATA is cut short"]),
        ("NETDATA whose second half is noise", lambda: file(netdata.cards(good[:100] + noise(1500))), delivered,
         [f"{attached}: the NETDATA record at byte"]),
        ("INMR01 with text units that point beyond it",
         lambda: file(netdata.cards(netdata.record(b"\xC9\xD5\xD4\xD9\xF0\xF1\x10\x11\xFF\xFF\xFF\xFF", control=True))),
         delivered, [f"{attached}: NETDATA text unit 1011 does not fit in its record"]),
        ("noise on cards", lambda: file([noise(80) for _ in range(200)]), delivered, [f"{attached}: it is no text"]),
    ]
    for what, send, counts, said in cases:
        with tap.case(f"{what}: {'told to its sender' if counts == reported else 'delivered'}, the mail goes on"):
            world.expect(lambda: check(send().wait(WAIT), "C0: it was taken"), counts, said)  # noqa: B023


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

    note, note_and_file = (0, 1, 0), (0, 2, 0)
    alice = f"(<{SENDER}>)"  # without a name that can be shown, the address
    text = ["From: X0000001 at MICROSFT", "Subject: %s%n%s%n", "Hello %s%n."]
    cases = [
        ("a blank display name", with_from(f'"   " <{SENDER}>'), note, [*text, alice]),
        ("an empty display name", with_from(f'"" <{SENDER}>'), note, [*text, alice]),
        ("a display name of %s%n", with_from(f'"%s%n%s%n" <{SENDER}>'), note, [*text, alice]),
        ("a display name of 2,000 characters", with_from(f'"{"n" * 2000}" <{SENDER}>'), note, [*text, "(nnnn", f"<{SENDER}>)"]),
        ("no sender in From: the envelope's is registered", with_from("undisclosed"), note, text),
        ("a Reply-To that is no address", with_from(f"<{SENDER}>", "Reply-To: nobody at all\n"), note, [*text, alice]),
        ("a Reply-To of a domain that is not there",
         with_from(f"<{SENDER}>", "Reply-To: <x@no.such.domain.invalid>\n"), note, [*text, alice]),
        ("a file name with an extension of 60 characters", mime(f"report.{'x' * 60}", b"data\x00" * 100), note_and_file,
         ["File REPORT XXXXXXXX follows:", f"report.{'x' * 60}"]),
        ("a file name of dots and blanks", mime(" . . ", b"data\x00" * 100), note_and_file, ["File FILE BIN follows: . ."]),
        ("a file of no bytes", mime("empty.bin", b""), note_and_file, ["File EMPTY BIN follows: empty.bin"]),
    ]
    for what, made, counts, said in cases:
        with tap.case(f"{what}: the letter arrives, the mail goes on"):
            def send() -> None:
                with Client(world.ovvm.smtp) as client:
                    check(client.deliver(made), f"250: {made.reply}")  # noqa: B023
            world.expect(send, counts, said)


# --- every size ---


def text_of(size: int) -> str:
    """Text of so many characters without a blank, different for each size."""
    return "".join(random.Random(size).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=size))


def lines_of(size: int) -> list[str]:
    text = text_of(size)
    return [text[at:at + COLUMNS] for at in range(0, size, COLUMNS)]


def size_of(subject: str) -> int:
    word, _, number = subject.partition(" ")
    return int(number) if word == "Size" else -1


def note_of(spool: SpoolFile) -> tuple[int, str]:
    """The size that the subject of a note at the host names, and its text without the line ends."""
    lines = note_lines(spool)
    subject = next(line for line in lines if line.startswith("Subject: "))
    return size_of(subject.partition(" ")[2].strip()), "".join(lines[lines.index(f"(<{SENDER}>)") + 1:])


def batch_to_host(world: World, tried: list[int]) -> None:
    made = []
    for size in tried:
        one = compose(SENDER, [HOST_MAILBOX], f"Size {size}", "")
        one.content = one.content.partition(CRLF + CRLF)[0] + CRLF + CRLF + text_of(size).encode()
        made.append(one)
    load = Load(world.ovvm.smtp, made, retry_limit=BATCH_WAIT).start()
    check(load.join(BATCH_WAIT) and not load.refused, f"250 for each of the sizes {tried[0]} to {tried[-1]}")
    found = dict(map(note_of, world.host.wait_for(len(tried), BATCH_WAIT)))
    same(sorted(found), tried, "sizes at the host")
    wrong = [size for size in tried if found[size] != text_of(size)]
    check(not wrong, f"bodies that are not whole at the host: {wrong[:10]}")


def batch_to_mail(world: World, tried: list[int]) -> None:
    for size in tried:
        cards = netdata.cms_note(lines_of(size), origin=HOST_USER, to=OUTSIDE_ADDRESS, when=WHEN, subject=f"Size {size}")
        world.host.send_file(cards, origin=HOST_USER, dest=OUTSIDE_ADDRESS, fn="GEORGEB", ft="NOTE")
    found = {size_of(one.header("Subject")): one.body for one in world.sink.wait_for(len(tried), BATCH_WAIT)}
    same(sorted(found), tried, "sizes at the mail side")
    wrong = [size for size in tried if found[size] != "".join(f"{line}\r\n" for line in lines_of(size)).encode()]
    check(not wrong, f"bodies that are not whole at the mail side: {wrong[:10]}")


def sizes(tap: Tap, build: Path, tried: list[int]) -> None:
    with Sink() as sink, Instance(build, relay=("127.0.0.1", sink.port)) as ovvm, \
            Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port), quirks={"buffer": 32000}) as host:
        world = World(ovvm, host, sink)
        with tap.case(f"bodies of {len(tried)} sizes from {tried[0]} to {tried[-1]} arrive whole in both directions"):
            for at in range(0, len(tried), BATCH):
                batch_to_host(world, tried[at:at + BATCH])
                batch_to_mail(world, tried[at:at + BATCH])
                ovvm.wait_empty(WAIT)
                host.received.clear()
                sink.letters.clear()
                sink.seen.clear()
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
        too_big(tap, world)
    sizes(tap, args.build, list(range(SIZES_END)) if args.all else list(SIZES))
    big(tap, args.build)
    tap.finish()


if __name__ == "__main__":
    main()
