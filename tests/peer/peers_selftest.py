#!/usr/bin/env python3
"""Do the mail systems that the scenarios use carry a letter from end to end? Each from its own private folder.

If this fails, a scenario that says "it works with Postfix" says nothing. Peers that scripts/fetch-peers has not brought
are skipped, and the skip says which. Needs no connector.
"""

import os
import shutil
import smtplib
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import Skip, check, same, start, until  # noqa: E402
from peer import instance  # noqa: E402
from peer.dovecot import Dovecot  # noqa: E402
from peer.exim import Exim  # noqa: E402
from peer.instance import Absent, version  # noqa: E402
from peer.mail import Client, Letter, Sink  # noqa: E402
from peer.opensmtpd import OpenSmtpd  # noqa: E402
from peer.postfix import Postfix  # noqa: E402

ALICE, BOB = "alice@example.org", "bob@vm.example.org"
TEXT = "Letter to {}\r\n.a line that begins with a dot\r\nGr\xfc\xdfe\r\n"


def swaks_program():
    """swaks as unpacked, else the machine's own."""
    try:
        return [os.path.join(instance.unpacked("swaks"), "usr/bin/swaks")]
    except Absent:
        if shutil.which("swaks"):
            return ["swaks"]
        raise


def swaks(port, recipient, subject):
    """Hands one letter over with swaks and returns its transcript."""
    if shutil.which("perl") is None:
        raise Skip("swaks needs perl, which is not here")
    done = subprocess.run(
        [*swaks_program(), "--server", "127.0.0.1", "--port", str(port), "--from", "carol@example.net",
         "--to", recipient, "--helo", "client.example.test", "--header", f"Subject: {subject}",
         "--body", "As swaks says it."],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    if "required module" in done.stdout + done.stderr or "Can't locate" in done.stderr:
        raise Skip(f"swaks lacks a perl module here: {done.stderr.strip().splitlines()[-1]}")
    same(done.returncode, 0, f"swaks's exit status, after\n{done.stdout}{done.stderr}")
    return done.stdout


def send(port, recipients, subject):
    """Hands one letter over with 8-bit text and a line that begins with a dot."""
    content = f"From: carol@example.net\r\nSubject: {subject}\r\n\r\n{TEXT.format(subject)}".encode("latin-1")
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as session:
        refused = session.sendmail("carol@example.net", recipients, content, mail_options=["BODY=8BITMIME"])
    same(refused, {}, "recipients refused")


def refused(port, recipient):
    """Reply code to RCPT for this recipient."""
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as session:
        session.ehlo()
        session.mail("carol@example.net")
        return session.rcpt(recipient)[0]


def mailbox_holds(mailbox, user, subject):
    letter = mailbox.wait_letters(user, 1)[-1]
    same(letter["Subject"], subject, "subject in the mailbox")
    return letter


def text_came_whole(content, subject):
    """The 8-bit text and the dot, as the sink has them."""
    same(content.replace(b"\r\n", b"\n").partition(b"\n\n")[2].rstrip(),
         TEXT.format(subject).encode("latin-1").replace(b"\r\n", b"\n").rstrip(), "text at the next hop")


def leaves_nothing(peer, folder):
    check(not os.path.exists(folder), f"{peer.name}: {folder} is still there")
    check(peer.process is None, f"{peer.name}: still runs")


def mta(tap, make):
    """The same trials for each MTA; `make(mailbox port, sink port)` gives an instance that knows the way to both."""
    name = make.__name__
    with tap.case(f"{name}: a letter handed over with swaks lies in the Dovecot mailbox, by LMTP"):
        with Dovecot(users=[ALICE]) as mailbox, make(mailbox.lmtp_port, 9) as peer:
            swaks(peer.port, ALICE, f"by {name}")
            mailbox_holds(mailbox, ALICE, f"by {name}")
    with tap.case(f"{name}: a letter is relayed to the next hop byte for byte, and another domain is refused"):
        with Sink() as sink, make(9, sink.port) as peer:
            folder = peer.folder
            send(peer.port, [BOB], "relayed")
            letter = sink.wait_for(1, 30)[0]
            same((letter.sender, letter.recipients), ("carol@example.net", [BOB]), "envelope at the next hop")
            text_came_whole(letter.content, "relayed")
            check(refused(peer.port, "eve@elsewhere.example") >= 500, "an open relay")
        leaves_nothing(peer, folder)


def waits_for_the_next_hop(tap, make):
    name = make.__name__
    with tap.case(f"{name}: a letter that the next hop defers waits, and goes after flush()"):
        with Sink() as sink, make(9, sink.port) as peer:
            sink.on_data = lambda letter: "451 4.3.0 later"
            send(peer.port, [BOB], "deferred")
            until(lambda: sink.seen, 30, "the first try")
            until(lambda: len(peer.queue()) == 1, 30, "the letter in the queue")
            sink.on_data = lambda letter: None

            def went():
                peer.flush()
                return sink.letters

            until(went, 60, "the letter at the next hop")
            until(lambda: not peer.queue(), 30, "the queue to be empty")


def postfix(mailbox_port, sink_port):
    return Postfix(transports={"example.org": f"lmtp:inet:127.0.0.1:{mailbox_port}",
                               "vm.example.org": f"smtp:[127.0.0.1]:{sink_port}"})


def exim(mailbox_port, sink_port):
    return Exim(routes={"example.org": ("lmtp", "127.0.0.1", mailbox_port),
                        "vm.example.org": ("smtp", "127.0.0.1", sink_port)})


def opensmtpd(mailbox_port, sink_port):
    return OpenSmtpd(routes={"example.org": f"lmtp://127.0.0.1:{mailbox_port}",
                             "vm.example.org": f"smtp://127.0.0.1:{sink_port}"})


def dovecot(tap):
    with tap.case("dovecot: a letter by LMTP is read by IMAP; an unknown mailbox is refused"):
        with Dovecot(users=[ALICE]) as mailbox:
            folder = mailbox.folder
            with smtplib.LMTP("127.0.0.1", mailbox.lmtp_port) as session:
                session.sendmail("carol@example.net", [ALICE], "Subject: by LMTP\r\n\r\ntext\r\n")
                session.mail("carol@example.net")
                same(session.rcpt("nobody@example.org")[0], 550, "reply for an unknown mailbox")
            mailbox_holds(mailbox, ALICE, "by LMTP")
            session = mailbox.imap(ALICE)
            same(session.search(None, "SUBJECT", '"by LMTP"')[1], [b"1"], "found by IMAP")
            session.logout()
        leaves_nothing(mailbox, folder)
    with tap.case("dovecot: any address has a mailbox where none are listed; the Unix socket works too"):
        with Dovecot() as mailbox:
            with Client(mailbox.lmtp_socket, lmtp=True) as session:
                letter = Letter("carol@example.net", [BOB, ALICE], b"Subject: s\r\n\r\nt\r\n")
                check(session.deliver(letter), f"taken for both: {letter.replies}")
            mailbox_holds(mailbox, BOB, "s")
            mailbox_holds(mailbox, ALICE, "s")


def postfix_restart(tap):
    with tap.case("postfix: a letter on hold outlives a restart"):
        with Postfix(transports={"example.org": "discard:"},
                     settings={"smtpd_recipient_restrictions": "static:HOLD, permit"}) as peer:
            send(peer.port, [ALICE], "held")
            same([entry["queue_name"] for entry in peer.queue()], ["hold"], "queue before")
            peer.restart()
            same([entry["queue_name"] for entry in peer.queue()], ["hold"], "queue after")


def main():
    tap, _ = start(__doc__, limit=300, daemon=False)
    for name in ("postfix", "dovecot", "exim4-daemon-light", "opensmtpd"):
        try:
            tap.diagnose(version(name.split("4")[0]))
        except Absent as why:
            tap.diagnose(str(why))
    dovecot(tap)
    for make in (postfix, exim, opensmtpd):
        mta(tap, make)
    for make in (postfix, exim):
        waits_for_the_next_hop(tap, make)
    postfix_restart(tap)
    tap.finish()


if __name__ == "__main__":
    main()
