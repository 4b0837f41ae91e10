#!/usr/bin/env python3
"""Mail between a host system and real mailboxes: a private Postfix and Dovecot, swaks, and a note that a real CMS wrote.

When this fails, a site's own mail system and the connector do not fit, host users see notes unlike those CMS writes, or
an answer does not stand below the letter that it answers. Needs scripts/fetch-peers; the real note is read where
OVVM_CORPUS says.
"""

import os
import shutil
import subprocess
import sys
from datetime import datetime
from email.message import Message
from email.utils import parseaddr, parsedate_to_datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import HOST, MAILNODE, Instance, Skip, Tap, check, free_port, same, skip_all, start, until  # noqa: E402
from peer import ebcdic, headers, instance, netdata, wire  # noqa: E402
from peer.dovecot import Dovecot  # noqa: E402
from peer.headers import SpoolFile  # noqa: E402
from peer.nje import Node  # noqa: E402
from peer.postfix import Postfix  # noqa: E402

WAIT = 60.0
REAL_NODE = "ALIJKU11"  # where the real note was written
ALICE = "alice@outside.example"  # has the host address ALICE (Instance.people)
SENDER = "alice.longname@example.com"  # a stranger: gets the first number of a fresh ledger
DESK = "desk@outside.example"
GEORGE = "georgeb@maplec1.vm.example.org"
HOST_USER = (HOST, "GEORGEB")
PROXY = "X0000001"

LETTER = """From: Alice Longname <alice.longname@example.com>
To: georgeb@maplec1.vm.example.org
Subject: {subject}
Date: Tue, 24 Nov 2026 14:03:11 +0000
Message-ID: {id}
{more}MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

{text}
"""
TEXT = "The numbers are in the file that follows."

# Control records of a note by CMS, with NUMBER for the number of the sender and TIME for the time of sending.
# INMR02 and INMR03 are byte for byte those of a real note.
INMR01 = bytes.fromhex(
    "6AE0C9D5D4D9F0F10042000100020050101100010008D4C9C3D9D6E2C6E3101200010008") + b"NUMBER" + bytes.fromhex(
    "100100010007D4C1D7D3C5C3F1100200010007C7C5D6D9C7C5C2102400010014") + b"TIME" + bytes.fromhex(
    "102F0001000400000001")
INMR02 = bytes.fromhex(
    "45E0C9D5D4D9F0F200000001102C000100080000000000000000003C00010002400000420001000400000084102800010007C9D5D4C3D6D7E8"
    "004900010002000200280000")
INMR03 = bytes.fromhex(
    "30E0C9D5D4D9F0F3102C000100080000000000000000003C000100024000004200010004000000500049000100020001")
INMR06 = bytes.fromhex("08E0C9D5D4D9F0F6")
NOTE = [
    (0x24, "Date: 24 November 26, 14:03:11 GMT"),
    (0x1C, f"From: {PROXY} at MICROSFT"),
    (0x1A, "To:   GEORGEB at MAPLEC1"),
    (0x1C, "Subject: Quarterly numbers"),
    (0x03, " "),
    (0x2F, "(Alice Longname <alice.longname@example.com>)"),
    (0x2B, TEXT),
]


class Site:
    """The mail system of a site with its mailboxes, the connector, and the host system."""

    def __init__(self, build: Path, lmtp: bool = False) -> None:
        self.mailbox = Dovecot(users=[ALICE, SENDER, DESK])
        self.mailbox.start()
        relay = free_port()
        self.ovvm = Instance(build, relay=("127.0.0.1", relay), conf={f"link {HOST}": {"nodes": f"{HOST} {REAL_NODE}"}})
        hop = f"smtp:[127.0.0.1]:{self.ovvm.smtp_port}"
        self.socket = self.ovvm.directory / "lmtp.sock"
        if lmtp:
            self.ovvm.sections["smtp-in"]["lmtp"] = str(self.socket)
            self.ovvm.write_conf()
            hop = f"lmtp:unix:{self.socket}"
        ways = {domain: self.mailbox.transport for domain in ("outside.example", "example.com")}
        ways |= {"vm.example.org": hop, ".vm.example.org": hop}
        self.mta = Postfix(transports=ways, settings={"relay_domains": "outside.example example.com vm.example.org",
                                                      "parent_domain_matches_subdomains": "relay_domains"})
        self.mta.port = relay
        self.mta.start()
        self.ovvm.start()
        if lmtp:  # as an operator does who puts Postfix into the group of the socket
            self.ovvm.directory.chmod(0o711)
            os.chown(self.socket, -1, instance.account("daemon", "bin").pw_gid)
        self.host = Node(HOST, MAILNODE, connect=("127.0.0.1", self.ovvm.link_port))

    def __enter__(self) -> "Site":
        return self

    def __exit__(self, *why: object) -> None:
        if why[0] is not None:
            print("".join(f"# {line}\n" for line in self.mta.logs().splitlines()[-25:]), end="", flush=True)
        self.host.close()
        try:
            self.ovvm.__exit__(*why)
        finally:
            self.mta.stop()
            self.mailbox.stop()

    def swaks(self, id: str, *, subject: str = "Quarterly numbers", more: str = "", text: str = TEXT) -> None:
        """Hands a letter of Alice Longname to the mail system."""
        letter = self.ovvm.directory / "letter"
        letter.write_text(LETTER.format(subject=subject, id=id, more=more, text=text))
        done = subprocess.run(
            [os.path.join(instance.unpacked("swaks"), "usr/bin/swaks"), "--server", "127.0.0.1", "--port",
             str(self.mta.port), "--from", SENDER, "--to", GEORGE, "--helo", "client.example.test", "--data", f"@{letter}"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WAIT)
        same(done.returncode, 0, f"swaks's exit status, after\n{done.stdout}{done.stderr}")

    def reply(self, number: str, lines: list[str], subject: str = "Re: Quarterly numbers") -> None:
        """GEORGEB answers as CMS does: to the pair in the note's From line, with a line that names the note's time."""
        to = (MAILNODE, number)
        cards = netdata.cms_note(["*** Reply to note of 11/24/26 14:03", *lines], origin=HOST_USER, to=to,
                                 when=datetime(2026, 11, 25, 14, 10), subject=subject)
        sent = self.host.send_file(cards, origin=HOST_USER, dest=to, fn=HOST_USER[1], ft="NOTE", dist="SYSTEM")
        check(sent.wait(WAIT), "the connector took the answer")


def text_of(letter: Message) -> str:
    return (letter.get_payload(decode=True) or b"").decode("utf-8").replace("\r\n", "\n").strip()


def from_of(lines: list[str]) -> tuple[str, str]:
    """(node, user) of a note's From line, as REPLY splits it."""
    user, at, node = next(line for line in lines if line.startswith("From: "))[6:].split()
    same(at, "at", "between user and node")
    return node, user


def the_note(spool: SpoolFile) -> None:
    """What GEORGEB got is a note as CMS writes it, to the byte."""
    stream = spool.cards()
    first = netdata.decode(stream).control("INMR01")
    check(first, "INMR01")
    time = first.values("INMFTIME")[0]
    same(len(time), 20, "length of INMFTIME")
    datetime.strptime(ebcdic.decode(time), "%Y%m%d%H%M%S%f")
    expected = INMR01.replace(b"NUMBER", ebcdic.encode(PROXY)).replace(b"TIME", time) + INMR02 + INMR03
    for length, line in NOTE:
        expected += bytes([length, 0xC0]) + ebcdic.encode(line)
    expected += INMR06
    same(len(expected), 442, "length of the example")
    same(stream[:len(expected)].hex(), expected.hex(), "the NETDATA records")
    same(stream[len(expected):], bytes(480 - 442), "the rest of the last card")
    got = spool.dataset
    same((got.dest, got.fn, got.ft, got.cls, got.dist, got.medium), (HOST_USER, PROXY, "NOTE", "A", "SYSTEM", headers.PUNCH),
         "spool attributes")
    same(got.tag.split()[:3], [HOST, "GEORGEB", "50"], "tag")
    same(spool.job.origin, (MAILNODE, PROXY), "origin")
    same({len(card) for card in spool.records}, {80}, "lengths of the cards")


def real_note(tap: Tap, site: Site) -> None:
    with tap.case("a note that a real CMS wrote in 1993 lies in the mailbox with its author, date and text"):
        corpus = os.environ.get("OVVM_CORPUS")
        if not corpus:
            raise Skip("OVVM_CORPUS is not set")
        _, spool = headers.spool_read((Path(corpus) / "spool" / "spool.cmsnote").read_bytes())
        old, new = [ebcdic.name(word) for word in spool.dataset.dest], [ebcdic.name(word) for word in (MAILNODE, "ALICE")]
        heads = []
        for srcb, data in spool.wire:
            if srcb == wire.SRCB_DSH:  # destination, external writer and tag
                data = data.replace(old[0], new[0]).replace(old[1], new[1])
            if srcb in (wire.SRCB_NJH, wire.SRCB_DSH):
                heads.append((srcb, data))
        sent = site.host.send_file(spool.records, origin=spool.job.origin, dest=(MAILNODE, "ALICE"), headers=heads)
        check(sent.wait(WAIT), "the connector took the file")
        letter = site.mailbox.wait_letters(ALICE, 1, WAIT)[0]
        same(parseaddr(letter["From"])[1].lower(), "cms1@alijku11.vm.example.org", "From")
        same(parseaddr(letter["To"])[1], ALICE, "To")
        same(parsedate_to_datetime(letter["Date"]), parsedate_to_datetime("13 Nov 1993 22:52:42 +0100"), "Date")
        # The note still says whom it was written to; who is unknown here is shown in the text, so that nobody is hidden.
        same(text_of(letter), "To: MEA at FINFILES\n\nTest", "text")
        check(letter["Message-ID"], "Message-ID")
        same(parseaddr(letter["Return-Path"])[1].lower(), "cms1@alijku11.vm.example.org", "envelope sender")


def letter_in(tap: Tap, site: Site) -> None:
    with tap.case("a letter from swaks through Postfix reaches the host user as a note of CMS, byte for byte"):
        site.swaks("<first@example.com>")
        the_note(site.host.wait_for(1, WAIT)[0])


def reply_out(tap: Tap, site: Site) -> None:
    with tap.case("the host user's answer lies in the sender's mailbox, below the letter that it answers"):
        node, user = from_of(netdata.decode(site.host.wait_for(1, WAIT)[0].cards()).lines())
        same((node, user), (MAILNODE, PROXY), "who the note is from")
        site.reply(user, ["Thank you, Alice."])
        letter = site.mailbox.wait_letters(SENDER, 1, WAIT)[0]
        same(letter["In-Reply-To"], "<first@example.com>", "In-Reply-To")
        check("<first@example.com>" in (letter["References"] or "").split(), f"References: {letter['References']}")
        same(parseaddr(letter["To"])[1], SENDER, "To")
        same(parseaddr(letter["From"])[1].lower(), GEORGE, "From")
        same(letter["Subject"], "Re: Quarterly numbers", "Subject")
        check("Thank you, Alice." in text_of(letter), f"text: {text_of(letter)!r}")


def reply_to(tap: Tap, site: Site) -> None:
    with tap.case("the answer to a letter with Reply-To goes there, and not to the sender"):
        site.swaks("<second@example.com>", subject="Canteen menu", more=f"Reply-To: {DESK}\n")
        spool = site.host.wait_for(2, WAIT)[1]
        node, user = from_of(netdata.decode(spool.cards()).lines())
        same((node, user), (MAILNODE, PROXY), "the same person has the same number")
        site.reply(user, ["Fish, please."], subject="Re: Canteen menu")
        letter = site.mailbox.wait_letters(DESK, 1, WAIT)[0]
        same(letter["In-Reply-To"], "<second@example.com>", "In-Reply-To")
        check("<second@example.com>" in (letter["References"] or "").split(), f"References: {letter['References']}")
        same(parseaddr(letter["To"])[1], DESK, "To")
        check("Fish, please." in text_of(letter), f"text: {text_of(letter)!r}")
        site.ovvm.wait_empty(WAIT)
        until(lambda: not site.mta.queue(), WAIT, "Postfix's queue to be empty")
        same(len(site.mailbox.letters(SENDER)), 1, "letters to the sender")


def by_lmtp(tap: Tap, site: Site) -> None:
    with tap.case("the same letter by LMTP on a Unix socket makes the same note"):
        site.swaks("<first@example.com>")
        the_note(site.host.wait_for(1, WAIT)[0])
        until(lambda: not site.mta.queue(), WAIT, "Postfix's queue to be empty")
        check("postfix/lmtp" in site.mta.logs() and f"{site.socket}" in site.mta.logs(), "Postfix used the socket")
        same(site.host.violations, [], "violations")


def main() -> None:
    tap, args = start(__doc__, limit=300)
    try:
        for name in ("postfix", "dovecot", "swaks"):
            instance.unpacked(name)
        if shutil.which("perl") is None:
            raise Skip("swaks needs perl, which is not here")
        site = Site(args.build)
    except Skip as why:
        skip_all(str(why))
    with site:
        real_note(tap, site)
        letter_in(tap, site)
        reply_out(tap, site)
        reply_to(tap, site)
        with tap.case("the connector kept to the protocol, and nothing waits"):
            same(site.host.violations, [], "violations")
            site.ovvm.wait_empty(WAIT)
    with Site(args.build, lmtp=True) as site:
        by_lmtp(tap, site)
    tap.finish()


if __name__ == "__main__":
    main()
