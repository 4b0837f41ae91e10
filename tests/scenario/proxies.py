#!/usr/bin/env python3
"""Addresses by rule as a site meets them: generated or not, another rule, a node for each site; and hop limits."""

import sys
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import HOST, MAILNODE, Instance, Tap, check, same, start, until  # noqa: E402
from peer import netdata  # noqa: E402
from peer.mail import Client, Load, Sink, compose  # noqa: E402
from peer.nje import Node  # noqa: E402
from traffic import HOST_MAILBOX, HOST_USER, note_lines  # noqa: E402

BRANCH = "BRANCH"
WAIT = 30.0


def shown(ovvm: Instance, address: str) -> str | None:
    hosts = [one["host"] for one in ovvm.ovvm("who", address).get("hosts", []) if one["main"]]
    return hosts[0] if hosts else None


def answer(host: Node, to: tuple[str, str], mark: str, hops: int = 0) -> None:
    cards = netdata.cms_note([mark], origin=HOST_USER, to=to, when=datetime(2026, 11, 24))
    host.send_file(cards, origin=HOST_USER, dest=to, fn=HOST_USER[1], ft="NOTE", job={"hops": hops})


def reaches(sink: Sink, host: Node, to: tuple[str, str], address: str) -> None:
    """A note to this host address arrives at that person."""
    before = len(sink.letters)
    mark = f"MARK-{before}"
    answer(host, to, mark)
    letters = sink.wait_for(before + 1, WAIT)
    same([one.lower() for one in letters[before].recipients], [address], f"who gets a note to {to}")
    check(mark in letters[before].content.decode(), "the note is the one that was sent")


def limits(tap: Tap, build: Path) -> None:
    with Sink() as sink, Instance(build, relay=("127.0.0.1", sink.port), conf={"limits": {"max-hops": "10"}}) as ovvm:
        with Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
            with tap.case("a file that was forwarded ten times arrives, one more goes back to its writer"):
                answer(host, (MAILNODE, "ALICE"), "ten", hops=10)
                sink.wait_for(1, WAIT)
                answer(host, (MAILNODE, "ALICE"), "eleven", hops=11)
                report = host.wait_for(1, WAIT)[0]
                check(any("loop" in line for line in note_lines(report)), f"says why: {note_lines(report)}")
                same(len(sink.letters), 1, "letters on the mail side")
            with tap.case("a letter with eleven Received fields is refused as a loop, one with ten is taken"):
                for count, code in ((10, 250), (11, 554)):
                    head = "".join(f"Received: from a by b; Tue, 24 Nov 2026 14:{n:02}:00 +0000\n" for n in range(count))
                    letter = compose("a@example.com", [HOST_MAILBOX], "Round", "and round", headers=head)
                    with Client(ovvm.smtp) as client:
                        client.deliver(letter)
                        same(letter.code, code, f"answer for {count} hops: {letter.reply}")


def main() -> None:
    tap, args = start(__doc__, limit=180)
    with Sink() as sink:
        ovvm = Instance(args.build, relay=("127.0.0.1", sink.port),
                        conf={"connector": {"also-nodes": BRANCH, "proxy-rule": f"{MAILNODE}(&m) {BRANCH}(&s&g1)"},
                              "addressing": {"proxy-generation": "on-demand", "reuse-after": "1s"}})
        people = "".join(f"p{n}@outside.example,Person {n}\n" for n in range(100))
        branch = f"bob@outside.example,Bob Short,{BRANCH}()\n"
        ovvm.people.write_text(people + branch)
        ovvm.start()
        with Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
            with tap.case("without generation nobody has an address, and nothing fails for it"):
                same(shown(ovvm, "p1@outside.example"), None, "address of a person")
                same(len(ovvm.ovvm("people", "list")["people"]), 101, "people listed")
            with tap.case("a dry run says what would be made and makes nothing"):
                would = ovvm.ovvm("proxy", "generate", "--dry-run")
                same(would["count"], 101, "addresses that would be made")
                check({"mail": "p7@outside.example", "host": f"{MAILNODE}(P7)", "kind": "rule"} in would["generated"],
                      f"p7 is named: {would['generated'][:10]}")
                same(shown(ovvm, "p7@outside.example"), None, "address after the dry run")
            with tap.case("the run that catches up gives each his own, at the node of his site"):
                same(ovvm.ovvm("proxy", "generate")["count"], 101, "addresses made")
                same(shown(ovvm, "p7@outside.example"), f"{MAILNODE}(P7)", "by the rule of the connector's node")
                same(shown(ovvm, "bob@outside.example"), f"{BRANCH}(SHORTB)", "by the rule of his node")
                same(ovvm.ovvm("proxy", "generate")["count"], 0, "addresses made by a second run")
            with tap.case("notes to users of both nodes arrive, and one to nobody is returned"):
                reaches(sink, host, (MAILNODE, "P7"), "p7@outside.example")
                reaches(sink, host, (BRANCH, "SHORTB"), "bob@outside.example")
                answer(host, (BRANCH, "NOBODY"), "lost?")
                until(lambda: len(host.received) == 1, WAIT, "the report to the host user")
            with tap.case("a letter of a person at the other node comes from there"):
                letter = compose("bob@outside.example", [HOST_MAILBOX], "Hello", "From the branch", id="branch")
                load = Load(ovvm.smtp, [letter], sessions=1, per_session=1, retry_limit=WAIT).start()
                check(load.join(WAIT), "the letter is taken")
                until(lambda: len(host.received) == 2, WAIT, "the letter at the host")
                same(host.received[1].job.origin, (BRANCH, "SHORTB"), "whom it comes from")
            with tap.case("another rule changes nobody by itself; when it is asked for, the old address still delivers"):
                ovvm.stop()
                ovvm.sections["connector"]["proxy-rule"] = f"{MAILNODE}(&s&g2) {BRANCH}(&m)"
                ovvm.write_conf()
                ovvm.start()
                same(ovvm.ovvm("proxy", "generate")["count"], 0, "addresses made without being asked for")
                same(shown(ovvm, "bob@outside.example"), f"{BRANCH}(SHORTB)", "before")
                origins = {one["mail"]: one["origin"] for one in ovvm.ovvm("proxy", "list")["people"]}
                same(origins["bob@outside.example"], "former rule", "where the list says it comes from")
                same(ovvm.ovvm("proxy", "generate", "--renew")["count"], 101, "addresses made")
                same(shown(ovvm, "bob@outside.example"), f"{BRANCH}(BOB)", "after")
                reaches(sink, host, (BRANCH, "SHORTB"), "bob@outside.example")
                reaches(sink, host, (BRANCH, "BOB"), "bob@outside.example")
            with tap.case("nobody gets the address of somebody who is gone"):
                ovvm.people.write_text(people + f"bob@elsewhere.example,Bob Other,{BRANCH}()\n")
                ovvm.ovvm("tables", "reload")
                ovvm.ovvm("proxy", "generate")
                same(shown(ovvm, "bob@elsewhere.example"), f"{BRANCH}(BOB2)", "address of the new Bob")
                reaches(sink, host, (BRANCH, "BOB"), "bob@outside.example")
            with tap.case("a node that is reached through a link is none of ours"):
                ovvm.sections["connector"]["also-nodes"] = HOST
                done = ovvm.conf.read_text()
                ovvm.write_conf()
                refused = ovvm.run("check")
                ovvm.conf.write_text(done)
                same(refused.returncode, 3, "exit status of ovvm check")
                check("also-nodes" in refused.stdout, f"says which key: {refused.stdout}")
        ovvm.stop()
        ovvm.__exit__(None)
    limits(tap, args.build)
    tap.finish()


if __name__ == "__main__":
    main()
