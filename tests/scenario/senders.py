#!/usr/bin/env python3
"""Each sender on the Internet side has one host address of his own, for good, however often the connector ends.

When this fails, host users answer to the wrong person, or a sender becomes somebody else with each letter.
`--senders 10000` is the soak.
"""

import argparse
import random
import re
import sys
from collections import defaultdict
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import HOST, MAILNODE, Instance, Tap, check, same, start, until  # noqa: E402
from peer import netdata  # noqa: E402
from peer.headers import SpoolFile  # noqa: E402
from peer.mail import Letter, Load, Sink, compose  # noqa: E402
from peer.nje import Node  # noqa: E402
from traffic import HOST_MAILBOX, HOST_USER, note_lines  # noqa: E402

WAIT = 60.0
EACH = 3  # letters of each sender
SESSIONS = 6
REPLIES = 100
VERP = 300
FORGED, FORGED_LIMIT = 120, 50
MARK = re.compile(r"MARK-([A-Z]+)-(\d+)-(\d+)")
REPORT = ("MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n"
          "Content-Type: text/plain\r\n\r\n{text}\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
          "Reporting-MTA: dns; mx.example.com\r\n\r\nFinal-Recipient: rfc822; x@example.com\r\nAction: failed\r\n"
          "Status: 5.1.1\r\n--b--\r\n")


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--senders", type=int, default=1500, help="how many senders write")


def address(kind: str, number: int) -> str:
    return f"{kind.lower()}{number}.of.many@example{number % 7}.com"


def written(kind: str, number: int, which: int, *, envelope: str | None = None, sender: str | None = None) -> Letter:
    """A letter with a mark that says whose it is. The domain is written in another case each time."""
    local, domain = (sender or address(kind, number)).split("@")
    shown = f"{local}@{(domain, domain.upper(), domain.title())[which % 3]}"
    letter = compose(shown, [HOST_MAILBOX], f"Letter {which}", f"MARK-{kind}-{number}-{which}",
                     id=f"{kind}-{number}-{which}")
    if envelope is not None:
        letter.sender = envelope
    return letter


def report(number: int, envelope: str) -> Letter:
    head = (f"From: Mail Delivery System <mailer-daemon{number}@example.com>\r\nTo: <{HOST_MAILBOX}>\r\n"
            "Subject: Undelivered\r\nDate: Tue, 24 Nov 2026 14:03:11 +0000\r\n"
            f"Message-ID: <report{number}@example.com>\r\n")
    return Letter(envelope, [HOST_MAILBOX], (head + REPORT.format(text=f"MARK-REPORT-{number}-0")).encode(),
                  f"REPORT-{number}-0")


def registrations(ovvm: Instance) -> dict[str, list[str]]:
    """Mail address -> host addresses with a number, from all pages of the list."""
    found: dict[str, list[str]] = defaultdict(list)
    after: list[str] = []
    while page := ovvm.ovvm("register", "list", *after)["registrations"]:
        for row in page:
            if row["kind"] == "number":
                found[row["mail"].lower()].append(row["host"])
        after = ["--after", page[-1]["host"]]
    return dict(found)


def marks(host: Node) -> dict[str, SpoolFile]:
    """What the host has, by mark; copies after a kill fall together."""
    with host.changed:
        files = list(host.received)
    found = {}
    for spool in files:
        mark = MARK.search("\n".join(note_lines(spool)))
        if mark:
            found["-".join(mark.groups())] = spool
    return found


def hand_over(ovvm: Instance, letters: list[Letter], limit: float) -> None:
    load = Load(ovvm.smtp, letters, sessions=SESSIONS, per_session=40, retry_limit=limit).start()
    check(load.join(limit), f"letters without an answer: {len(load.waiting)}")
    same([one.reply for one in load.refused], [], "letters refused")
    same(len(load.accepted), len(letters), "letters taken")


def arrived(host: Node, letters: list[Letter], limit: float) -> dict[str, SpoolFile]:
    """Until the host has them all."""
    wanted = {one.id for one in letters}

    def all_there() -> dict[str, SpoolFile] | None:
        if len(host.received) < len(wanted):
            return None
        found = marks(host)
        return found if wanted <= set(found) else None
    return until(all_there, limit, f"{len(wanted)} notes at the host")


def many(tap: Tap, ovvm: Instance, host: Node, senders: int) -> dict[str, str]:
    """Address -> user id at the connector's node."""
    limit = 60.0 + senders * EACH / 20
    letters = [written("S", number, which) for number in range(senders) for which in range(EACH)]
    random.shuffle(letters)
    proxies: dict[str, str] = {}
    with tap.case(f"{senders} senders, {EACH} letters each, through a stop and two kills: all arrive"):
        load = Load(ovvm.smtp, letters, sessions=SESSIONS, per_session=40, retry_limit=limit).start()
        for part, ending in enumerate((ovvm.stop, ovvm.kill, ovvm.kill), 1):
            until(lambda: len(load.accepted) >= len(letters) * part // 4, limit, "a quarter of the letters")
            ending()
            ovvm.start()
        check(load.join(limit), f"letters without an answer: {len(load.waiting)}")
        same([one.reply for one in load.refused], [], "letters refused")
        notes = arrived(host, letters, limit)
        ovvm.wait_empty(limit)
    with tap.case("each note comes from one address of its sender and shows the sender's own"):
        for mark, spool in notes.items():
            whose = address("S", int(mark.split("-")[1]))
            user = spool.job.origin[1]
            same(proxies.setdefault(whose, user), user, f"host address of {whose}")
            check(whose in "\n".join(note_lines(spool)).lower(), f"{whose} is in its note: {note_lines(spool)}")
        same(len(set(proxies.values())), senders, "host addresses in use")
    with tap.case("the list has each of them once, and no host address twice"):
        listed = registrations(ovvm)
        same(len(listed), senders, "people registered")
        same({whose: hosts for whose, hosts in listed.items() if hosts != [f"{MAILNODE}({proxies[whose]})"]}, {},
             "people listed with another address than their notes came from")
    return proxies


def answers(tap: Tap, ovvm: Instance, host: Node, sink: Sink, proxies: dict[str, str]) -> None:
    with tap.case("an answer to a host address reaches the person it stands for, and nobody else"):
        asked = random.sample(sorted(proxies), min(REPLIES, len(proxies)))
        for number, whose in enumerate(asked):
            proxy = (MAILNODE, proxies[whose])
            cards = netdata.cms_note([f"MARK-R-{number}-0"], origin=HOST_USER, to=proxy, when=datetime(2026, 11, 24))
            host.send_file(cards, origin=HOST_USER, dest=proxy, fn=HOST_USER[1], ft="NOTE")
        got = sink.wait_for(len(asked), WAIT)
        found = {}
        for letter in got:
            mark = MARK.search(letter.content.decode())
            check(mark, f"an answer without its text: {letter.content!r}")
            found[asked[int(mark[2])]] = [one.lower() for one in letter.recipients]  # type: ignore[index]
        same({whose: to for whose, to in found.items() if to != [whose]}, {}, "answers that went to somebody else")
        same(len(found), len(asked), "answers")
        ovvm.wait_empty(WAIT)


def verp(tap: Tap, ovvm: Instance, host: Node, senders: int) -> None:
    with tap.case(f"a list with {VERP} envelope senders is one person"):
        letters = [written("LIST", number, 0, sender="the.list@lists.example", envelope=f"bounce+{number}@lists.example")
                   for number in range(VERP)]
        hand_over(ovvm, letters, WAIT)
        notes = arrived(host, letters, WAIT)
        same(len({notes[one.id].job.origin for one in letters}), 1, "host addresses of the list")
        listed = registrations(ovvm)
        same(len(listed), senders + 1, "people registered")
        same(len(listed["the.list@lists.example"]), 1, "host addresses listed")


def nobody(tap: Tap, ovvm: Instance, host: Node) -> None:
    with tap.case("null senders and reports register nobody and come from POSTMAST"):
        before = registrations(ovvm)
        letters = [written("NULL", number, 0, envelope="") for number in range(20)]
        letters += [report(number, "" if number % 2 else f"real{number}@example.com") for number in range(20)]
        hand_over(ovvm, letters, WAIT)
        notes = arrived(host, letters, WAIT)
        same({notes[one.id].job.origin for one in letters}, {(MAILNODE, "POSTMAST")}, "origins")
        same(registrations(ovvm), before, "people registered")


def forged(tap: Tap, build: Path) -> None:
    with Sink() as sink, Instance(build, relay=("127.0.0.1", sink.port),
                                  conf={"addressing": {"registration-limit": str(FORGED_LIMIT)}}) as ovvm, \
            Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host, \
            tap.case(f"of {FORGED} forged senders {FORGED_LIMIT} are registered; the mail of all others flows"):
        letters = [written("FORGED", number, 0) for number in range(FORGED)]
        hand_over(ovvm, letters, WAIT)
        notes = arrived(host, letters, WAIT)
        same(len(registrations(ovvm)), FORGED_LIMIT, "people registered")
        fallback = {mark: spool for mark, spool in notes.items() if spool.job.origin == (MAILNODE, "POSTMAST")}
        same(len(fallback), FORGED - FORGED_LIMIT, "notes from POSTMAST")
        for mark, spool in fallback.items():
            whose = address("FORGED", int(mark.split("-")[1]))
            check(whose in "\n".join(note_lines(spool)).lower(), f"{whose} is in the text: {note_lines(spool)}")
        known = next(iter(set(notes) - set(fallback)))
        again = [written("FORGED", int(known.split("-")[1]), 1)]
        hand_over(ovvm, again, WAIT)
        same(arrived(host, again, WAIT)[again[0].id].job.origin, notes[known].job.origin,
             "who is registered keeps his address when the limit is reached")
        ovvm.wait_empty(WAIT)


def shared(tap: Tap, build: Path) -> None:
    with Sink() as sink, Instance(build, relay=("127.0.0.1", sink.port),
                                  conf={"addressing": {"registration": "off"}}) as ovvm, \
            Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host, \
            tap.case("an answer to the address that senders without one share goes to the postmaster, not to a stranger "
                     "who wrote under the same subject"):
        letters = []
        for number in range(2):
            letters.append(compose(address("OFF", number), [HOST_MAILBOX], "Lunch", f"MARK-OFF-{number}-0",
                                   id=f"OFF-{number}-0", headers=f"Reply-To: <answers{number}@example.com>\n"))
        hand_over(ovvm, letters, WAIT)
        notes = arrived(host, letters, WAIT)
        proxy = (MAILNODE, "POSTMAST")
        same({spool.job.origin for spool in notes.values()}, {proxy}, "who they came from")
        cards = netdata.cms_note(["MARK-R-0-0"], origin=HOST_USER, to=proxy, when=datetime(2026, 11, 24),
                                 subject="Re: Lunch")
        host.send_file(cards, origin=HOST_USER, dest=proxy, fn=HOST_USER[1], ft="NOTE")
        same([one.recipients for one in sink.wait_for(1, WAIT)], [["postmaster@example.org"]], "who got the answer")


def main() -> None:
    tap, args = start(__doc__, limit=3600, options=options)
    with Sink() as sink, Instance(args.build, relay=("127.0.0.1", sink.port),
                                  conf={"addressing": {"registration-limit": "0"}}) as ovvm, \
            Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
        proxies = many(tap, ovvm, host, args.senders)
        answers(tap, ovvm, host, sink, proxies)
        verp(tap, ovvm, host, args.senders)
        nobody(tap, ovvm, host)
    forged(tap, args.build)
    shared(tap, args.build)
    tap.finish()


if __name__ == "__main__":
    main()
