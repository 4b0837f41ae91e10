#!/usr/bin/env python3
"""People from an LDAP directory: with the server stopped, silent, babbling or emptied, mail flows with the last good
answer; nobody loses an address, and nobody gets another's.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import HOST, MAILNODE, Instance, Tap, check, same, skip_all, start, until  # noqa: E402
from peer.instance import Absent  # noqa: E402
from peer.ebcdic import card  # noqa: E402
from peer.mail import Client, Sink  # noqa: E402
from peer.nje import Node  # noqa: E402
from peer.slapd import PASSWORD, Babbler, Slapd, person  # noqa: E402
from traffic import letter, note_lines  # noqa: E402

WAIT = 30.0


def directory_of(ovvm: Instance) -> dict:
    return ovvm.ovvm("status")["directory"]


def warnings(ovvm: Instance) -> str:
    return "\n".join(f"{one['text']} | {one['remedy']}" for one in ovvm.ovvm("status")["warnings"])


def loaded(ovvm: Instance, people: int) -> None:
    until(lambda: directory_of(ovvm)["people"] == people and not directory_of(ovvm)["loading"], WAIT,
          f"{people} people from the directory")


def host_of(ovvm: Instance, address: str) -> str:
    hosts = [one["host"] for one in ovvm.ovvm("who", address).get("hosts", []) if one["main"]]
    same(len(hosts), 1, f"host addresses shown for {address}")
    return hosts[0]


def settings(ovvm: Instance, url: str, base: str, bind_dn: str | None, **more: str) -> None:
    secret = ovvm.directory / "ldap-password"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)
    ovvm.sections["directory"] = {"url": url, "base": f'"{base}"', "host-attributes": "ovvmHost", "interval": "1h",
                                  "timeout": "60s", **more}
    if bind_dn:
        ovvm.sections["directory"].update({"bind-dn": f'"{bind_dn}"', "password-file": str(secret)})
    ovvm.write_conf()


def note_to(host: Node, user: str, token: str) -> None:
    check(host.send_file([card(f"TOKEN-{token}")], origin=(HOST, "GEORGEB"), dest=(MAILNODE, user), fn="X",
                         ft="NOTE").wait(WAIT), "C0")


PEOPLE = [person("alice", "Alice Longname", hosts=["PROFS:MICROSFT(ALICE)", "profs:MICROSFT(AL)", "smtp:al@example.org"]),
          person("bob", "Bob Short"), person("carol", "Carol Quick", hosts=["CQUICK", "CAROLQ"]),
          person("robot", "No Mail", mail="")] + [person(f"p{n:03}", f"Person {n}") for n in range(40)]


def faults(tap: Tap, args: argparse.Namespace) -> None:
    with Slapd(PEOPLE) as slapd, Sink() as sink, \
            Instance(args.build, relay=("127.0.0.1", sink.port), conf={"connector": {"people": None}}) as ovvm, \
            Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
        check(host.wait_up(WAIT), "the link is up")
        ovvm.stop()
        settings(ovvm, slapd.url, slapd.base, slapd.bind_dn)
        slapd.halt()
        with tap.case("while the directory was never read, a note to somebody unknown waits instead of going back"):
            ovvm.start()
            check(host.wait_up(WAIT), "the link is up")
            note_to(host, "BOB", "D0000001")
            until(lambda: directory_of(ovvm)["problem"], WAIT, "the problem to be shown")
            check("never loaded" in warnings(ovvm) and "waits" in warnings(ovvm), warnings(ovvm))
            until(lambda: any(q["name"] == "host_in" and q["ready"] for q in ovvm.ovvm("status")["queues"]), WAIT,
                  "the note to wait")
            same(len(host.received), 0, "files returned")
        with tap.case("then its people are there, with several addresses, by rule, and with full names"):
            slapd.again()
            loaded_now = ovvm.ovvm("people", "load")["directory"]
            same(loaded_now["added"], 43, "new people")
            same(host_of(ovvm, "alice@example.org"), "MICROSFT(ALICE)", "the one marked as primary")
            same(ovvm.ovvm("who", "MICROSFT(AL)")["mail"], "alice@example.org", "the secondary one")
            same(host_of(ovvm, "bob@example.org"), "MICROSFT(BOB)", "by rule")
            check(host_of(ovvm, "carol@example.org") in ("MICROSFT(CQUICK)", "MICROSFT(CAROLQ)"), "one of two")
            same(ovvm.ovvm("who", "bob@example.org")["name"], "Bob Short", "the full name")
            same(ovvm.ovvm("who", "bob@example.org")["source"], "directory", "where he comes from")
            got = sink.wait_for(1, WAIT)[0]
            check("Bob Short" in got.header("To"), f"To: {got.header('To')}")
            same(len(ovvm.ovvm("people", "list")["people"]), 43, "people listed")
        with tap.case("a second load changes nothing"):
            again = ovvm.ovvm("people", "load")["directory"]
            same((again["added"], again["changed"], again["removed"]), (0, 0, 0), "new, changed, gone")
        with tap.case("with the server stopped mail flows, and status says the age and the remedy"):
            slapd.halt()
            same(ovvm.run("people", "load").returncode, 3, "exit status")
            check("not loaded" in warnings(ovvm) and "ago" in warnings(ovvm), warnings(ovvm))
            ovvm.stop()
            ovvm.start()
            check(host.wait_up(WAIT), "the link is up")
            until(lambda: directory_of(ovvm)["problem"], WAIT, "the problem after a new start")
            note_to(host, "AL", "D0000002")
            same(sink.wait_for(2, WAIT)[1].recipients, ["alice@example.org"], "recipient")
        slapd.again()
        with tap.case("people check lists who would be new, changed and gone, and changes nothing"):
            slapd.replace([entry for entry in PEOPLE if "uid=p039" not in entry and "uid=bob," not in entry] +
                          [person("bob", "Robert Short"), person("dave", "Dave New")])
            found = ovvm.ovvm("people", "check")["directory"]
            same((found["added"], found["changed"], found["removed"]), (1, 1, 1), "new, changed, gone")
            lines = {(one["kind"], one["text"]) for one in found["list"]}
            same(lines, {("new", "dave@example.org  Dave New"), ("changed", "bob@example.org  Robert Short"),
                         ("gone", "p039@example.org  Person 39")}, "the list")
            check("hosts" not in ovvm.ovvm("who", "dave@example.org"), "nobody was added")
        with tap.case("who is gone keeps the address; nobody gets it"):
            ovvm.ovvm("people", "load")
            same(ovvm.ovvm("who", "MICROSFT(P039)")["mail"], "p039@example.org", "whose it is")
            slapd.replace(slapd.people + [person("thief", "A Thief", hosts=["P039"])])
            found = ovvm.ovvm("people", "load")["directory"]
            same((found["added"], found["passed_over"]), (1, 1), "new, passed over")
            same(ovvm.ovvm("who", "MICROSFT(P039)")["mail"], "p039@example.org", "whose it is")
            same(host_of(ovvm, "thief@example.org"), "MICROSFT(THIEF)", "by rule instead")
            check("passed over" in warnings(ovvm), warnings(ovvm))
        whole = slapd.people
        for what, people in (("an empty", []), ("a shrunken", whole[:20])):
            with tap.case(f"{what} directory unlists nobody unless the operator says so"):
                before = len(ovvm.ovvm("people", "list")["people"])
                slapd.replace(people)
                refused = ovvm.run("people", "load")
                same(refused.returncode, 3, "exit status")
                check("people load --confirm" in refused.stderr, f"says how to go on: {refused.stderr}")
                same(len(ovvm.ovvm("people", "list")["people"]), before, "people listed")
        with tap.case("the operator says so"):
            same(ovvm.ovvm("people", "load", "--confirm")["directory"]["removed"] > 10, True, "more than ten gone")
            slapd.replace(whole)
            ovvm.ovvm("people", "load")
        with tap.case("a server that hangs costs nothing: the process is ended, mail flows meanwhile"):
            ovvm.stop()
            ovvm.sections["directory"]["timeout"] = "3s"
            ovvm.write_conf()
            os.killpg(slapd.process.pid, signal.SIGSTOP)
            try:
                ovvm.start()
                check(host.wait_up(WAIT), "the link is up")
                check(directory_of(ovvm)["loading"], "it is being asked")
                note_to(host, "AL", "D0000003")
                same(sink.wait_for(3, WAIT)[2].recipients, ["alice@example.org"], "recipient")
                until(lambda: directory_of(ovvm)["problem"], WAIT, "the limit")
                until(lambda: not any("ovvm-directory" in one for one in ovvm.processes()), WAIT, "the process to end")
            finally:
                os.killpg(slapd.process.pid, signal.SIGCONT)
            ovvm.ovvm("people", "load")
            same(directory_of(ovvm)["problem"], "", "problem")
        with tap.case("the process that asks does not outlive the daemon"):
            os.killpg(slapd.process.pid, signal.SIGSTOP)
            try:
                ovvm.signal(signal.SIGHUP)
                until(lambda: any("ovvm-directory" in one for one in ovvm.processes()), WAIT, "the process to be there")
                os.kill(ovvm.pid, signal.SIGKILL)
                ovvm.wait_end(WAIT)
                until(lambda: not any("ovvm-directory" in one for one in ovvm.processes()), WAIT, "the process to end")
            finally:
                os.killpg(slapd.process.pid, signal.SIGCONT)
        babbles = {"nonsense": b"220 I am a mail server\r\n" * 50, "half an LDAP answer": b"\x30\x84\x7f\xff\xff\xff\x02\x01",
                   "success without end": b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00", "nothing": b""}
        for what, answer in babbles.items():
            with tap.case(f"a server that says {what} changes nobody"), Babbler(answer, stays=what.startswith("succ")) as bad:
                ovvm.sections["directory"]["url"] = bad.url
                ovvm.write_conf()
                ovvm.start()
                before = len(ovvm.ovvm("people", "list")["people"])
                until(lambda: directory_of(ovvm)["problem"], WAIT, "the problem")
                check(bad.calls > 0, "it was asked")
                same(len(ovvm.ovvm("people", "list")["people"]), before, "people listed")
                ovvm.stop()
        ovvm.sections["directory"]["url"] = slapd.url
        with tap.case("a wrong password is said, not shown"):
            (ovvm.directory / "ldap-password").write_text("WRONGWORD\n")
            ovvm.write_conf()
            ovvm.start()
            until(lambda: "redential" in directory_of(ovvm)["problem"], WAIT, "the server's refusal")
            check("WRONGWORD" not in "\n".join(ovvm.log_lines()) + str(ovvm.ovvm("status")), "the password stays secret")


def host_users(tap: Tap, args: argparse.Namespace) -> None:
    with Sink() as sink, Instance(args.build, relay=("127.0.0.1", sink.port)) as ovvm, \
            Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
        ovvm.stop()
        tables = ovvm.directory / "tables"
        tables.mkdir()
        (tables / "Ovdfile.dat").write_text(f"{MAILNODE} LOCAL MSX\n{HOST} CMS CMS host-kind=profs users=listed\n")
        ovvm.sections["connector"]["tables"] = str(tables)
        ovvm.write_conf()
        with tap.case("a node whose users are to be listed needs the list"):
            done = ovvm.run("check")
            same(done.returncode, 3, "exit status")
            check("Hostusers.csv" in done.stdout, done.stdout)
        (tables / "Hostusers.csv").write_text(f'{HOST}(GEORGEB),"Barnes, George"\n')
        ovvm.start()
        with tap.case("at RCPT a user who is not listed is unknown, and one of an unknown node too"):
            with Client(ovvm.smtp) as client:
                client.command("MAIL FROM:<alice@outside.example>")
                same(client.command("RCPT TO:<nobody@vm.example.org>")[:9], "550 5.1.1", "a user who is not listed")
                same(client.command("RCPT TO:<georgeb@nonode.vm.example.org>")[:9], "550 5.1.2", "an unknown node")
                same(client.command("RCPT TO:<georgeb@vm.example.org>")[:3], "250", "one who is")
        with tap.case("full names: in the To line of a PROFS note, and on the Internet side"):
            check(host.wait_up(WAIT), "the link is up")
            with Client(ovvm.smtp) as client:
                check(client.deliver(letter("M0000001")), "250")
            host.wait_for(1, WAIT)
            lines = [line.strip() for line in note_lines(host.received[0])]
            check(f"To: GEORGEB --{HOST} Barnes, George" in lines, f"lines: {lines}")
            note_to(host, "ALICE", "H0000001")
            got = sink.wait_for(1, WAIT)[0]
            check("Barnes, George" in got.header("From"), f"From: {got.header('From')}")
            check("Alice Longname" in got.header("To"), f"To: {got.header('To')}")
        with tap.case("a list with a mistake is not taken on reload"):
            (tables / "Hostusers.csv").write_text("NO ADDRESS\n")
            same(ovvm.run("tables", "reload").returncode, 3, "exit status")
            check("Hostusers.csv line 1" in warnings(ovvm), warnings(ovvm))
            same(ovvm.ovvm("tables", "show")["host_users"], 1, "users in use")


def interval(tap: Tap, args: argparse.Namespace) -> None:
    with tap.case("what changes in the directory comes with the interval, and on SIGHUP"), Slapd(PEOPLE[:2]) as slapd, \
            Instance(args.build, conf={"connector": {"people": None}}) as ovvm:
        ovvm.stop()
        settings(ovvm, slapd.url, slapd.base, None, interval="1s")
        ovvm.start()
        loaded(ovvm, 2)
        slapd.replace(PEOPLE[:3])
        loaded(ovvm, 3)
        ovvm.stop()
        settings(ovvm, slapd.url, slapd.base, None, page="1", **{"name-attribute": "sn", "scope": "one"})
        ovvm.start()
        until(lambda: ovvm.ovvm("who", "bob@example.org")["name"] == "Short", WAIT, "another attribute, page by page")
        slapd.replace(PEOPLE[:2])
        ovvm.signal(signal.SIGHUP)
        loaded(ovvm, 2)
    ovvm = Instance(args.build)
    ovvm.people.write_text("bob@example.org,Bob of the File,BOBFILE\n")
    with tap.case("who stands in the people file too is the file's"), Slapd(PEOPLE[:3]) as slapd, ovvm:
        ovvm.stop()
        settings(ovvm, slapd.url, slapd.base, None)
        ovvm.start()
        loaded(ovvm, 3)
        same(host_of(ovvm, "bob@example.org"), "MICROSFT(BOBFILE)", "the file's address")
        same(ovvm.ovvm("who", "bob@example.org")["source"], "people file", "where he comes from")
        same(host_of(ovvm, "alice@example.org"), "MICROSFT(ALICE)", "the directory's")


def secret(tap: Tap, args: argparse.Namespace) -> None:
    with Instance(args.build, conf={"connector": {"people": None}}) as ovvm:
        ovvm.stop()
        files = [str(ovvm.directory / name) for name in ("certificate.pem", "key.pem")]
        done = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                               "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-out", files[0], "-keyout",
                               files[1]], capture_output=True)
        same(done.returncode, 0, f"openssl: {done.stderr!r}")
        with Slapd(PEOPLE[:3], tls=files) as slapd:
            with tap.case("STARTTLS with a certificate that the file vouches for"):
                settings(ovvm, slapd.url, slapd.base, slapd.bind_dn, starttls="yes", **{"ca-file": files[0]})
                ovvm.start()
                loaded(ovvm, 3)
                ovvm.stop()
            with tap.case("a certificate that nobody vouches for gets no password"):
                settings(ovvm, slapd.url, slapd.base, slapd.bind_dn, starttls="yes")
                ovvm.start()
                until(lambda: "STARTTLS" in directory_of(ovvm)["problem"], WAIT, "the refusal")


def many(tap: Tap, args: argparse.Namespace) -> None:
    people = [person(f"u{n:06}", f"Given{n} Surname{n}", hosts=[f"U{n:06}"] if n % 2 else []) for n in range(args.people)]
    with tap.case(f"{args.people} people are read page by page, and mail is taken meanwhile"), Slapd(people) as slapd, \
            Instance(args.build, conf={"connector": {"people": None}}) as ovvm:
        ovvm.stop()
        settings(ovvm, slapd.url, slapd.base, slapd.bind_dn, timeout="5m")
        begun = time.monotonic()
        ovvm.start()
        check(directory_of(ovvm)["loading"] or directory_of(ovvm)["people"], "mail is taken while it is read")
        until(lambda: directory_of(ovvm)["people"] == args.people, 240, "all to be loaded")
        tap.diagnose(f"{args.people} people after {time.monotonic() - begun:.1f} s")
        begun = time.monotonic()
        again = ovvm.ovvm("people", "load")["directory"]
        tap.diagnose(f"nothing new after {time.monotonic() - begun:.1f} s")
        same((again["added"], again["changed"], again["removed"]), (0, 0, 0), "new, changed, gone")
        last = args.people - 1
        same(ovvm.ovvm("who", f"u{last:06}@example.org")["name"], f"Given{last} Surname{last}", "the last one's name")


def main() -> None:
    tap, args = start(__doc__, limit=600,
                      options=lambda parser: parser.add_argument("--people", type=int, default=10000))
    try:
        Slapd([])
    except Absent as why:
        skip_all(str(why))
    faults(tap, args)
    host_users(tap, args)
    interval(tap, args)
    secret(tap, args)
    many(tap, args)
    tap.finish()


if __name__ == "__main__":
    main()
