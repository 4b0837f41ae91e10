#!/usr/bin/env python3
"""A host user's note reaches the mail side, and a letter reaches the host user: whole, readable, once."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import HOST, MAILNODE, Instance, check, same, start, until  # noqa: E402
from peer import nje  # noqa: E402
from peer.mail import Client, Sink  # noqa: E402
from peer.nje import Node  # noqa: E402
from traffic import (HOST_MAILBOX, HOST_USER, OUTSIDE_ADDRESS, OUTSIDE_MAILBOX, SENDER, letter,  # noqa: E402
                     note_lines, send_note)

WAIT = 20.0


def main() -> None:
    tap, args = start(__doc__, limit=240)
    kinds = {"rscs": nje.RSCS, "unixnje": nje.UNIXNJE, "jes2": nje.JES2, "vm370": dict(buffer=1012, segment=256)}
    for kind, quirks in kinds.items():
        with Sink() as sink, Instance(args.build, relay=("127.0.0.1", sink.port), kind=kind) as ovvm, \
                Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port), quirks=quirks) as host:
            with tap.case(f"{kind}: the link signs on"):
                check(host.wait_up(WAIT), "signed on")
            with tap.case(f"{kind}: a note on cards arrives as a letter with its text"):
                check(send_note(host, "H0000001", ["A second line."]).wait(WAIT), "C0 within the limit")
                got = sink.wait_for(1, WAIT)[0]
                text = got.body.decode("utf-8")
                check("TOKEN-H0000001" in text and "A second line." in text, f"the text is there: {text!r}")
                check(b"\x40\x40\x40" not in got.content or "@@@" not in text, "blanks are blanks")
                same(got.recipients, [OUTSIDE_MAILBOX], "envelope recipient")
                check("georgeb" in got.sender.lower(), f"envelope sender names the host user: {got.sender}")
                check("georgeb" in got.header("From").lower(), f"From: {got.header('From')}")
                check(got.header("Message-ID") and got.header("Date"), "Message-ID and Date")
            with tap.case(f"{kind}: a NETDATA note as CMS sends it arrives, nothing dropped"):
                check(send_note(host, "H0000002", packed=True).wait(WAIT), "C0 within the limit")
                body = sink.wait_for(2, WAIT)[1].body.decode("utf-8").replace("\r\n", "")
                check("TOKEN-H0000002" in body, f"the note is there: {body!r}")
            with tap.case(f"{kind}: a letter arrives as a note with its text, from somebody who can be answered"):
                with Client(ovvm.smtp) as client:
                    check(client.deliver(letter("M0000003", "Grüße, and a long line " + "word " * 40)), "250")
                spool = host.wait_for(1, WAIT)[0]
                lines = note_lines(spool)
                check("TOKEN-M0000003" in "\n".join(lines), f"the text is there: {lines}")
                check(all(len(line) <= 132 for line in lines), "lines fit a host screen")
                same(spool.dataset.dest, HOST_USER, "addressed to the host user")
                same(spool.job.origin[0], MAILNODE, "origin node is the connector's")
                check(1 <= len(spool.job.origin[1]) <= 8, "origin user is a host name")
                check(spool.job.entry > 0 and 1 <= spool.job.job_id <= 9999, "job id and entry time are filled")
                same(len(spool.datasets), 1, "one data set header")
            with tap.case(f"{kind}: refusals at the SMTP door are clear"):
                with Client(ovvm.smtp) as client:
                    client.command(f"MAIL FROM:<{SENDER}>")
                    for recipient in ("bob@elsewhere.example", "nobody@nonode.vm.example.org"):
                        reply = client.command(f"RCPT TO:<{recipient}>")
                        check(reply.startswith("550 5."), f"{recipient}: {reply}")
                    same(client.command(f"RCPT TO:<{HOST_MAILBOX}>")[:3], "250", "and the good one is taken")
            with tap.case(f"{kind}: each arrived once, and the connector kept to the protocol"):
                until(lambda: not host.queue, WAIT, "the host's queue to empty")
                same((len(sink.letters), len(host.received)), (2, 1), "letters and files")
                same(host.violations, [], "violations")
    tap.finish()


if __name__ == "__main__":
    main()
