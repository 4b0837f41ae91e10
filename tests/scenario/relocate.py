#!/usr/bin/env python3
"""The ways of a move beside the straight one: an export that fails or finds letters in hand, addresses that would change
their meaning, moving back, a side that is lost, two sites that become one. Killed anywhere: the state before or after.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Iterator

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import HOST, MAILNODE, Failed, Instance, Tap, check, failpoints, find, same, start, until  # noqa: E402
from peer.ebcdic import card  # noqa: E402
from peer.mail import Client, Sink, compose  # noqa: E402
from peer.nje import Node  # noqa: E402
from traffic import HOST_MAILBOX, letter, note_lines, send_note, tokens_of  # noqa: E402

WAIT = 20.0
GOLDEN = Path(__file__).resolve().parent.parent / "data" / "bundle"
# where a move stands still; those of the straight way are in move.py
POINTS = ("relocate.before-undo", "relocate.before-cancel", "relocate.before-active", "relocate.import-kept", "relocate.merged")


@contextmanager
def place(build: Path, **instance: Any) -> Iterator[Instance]:
    """An instance with its configuration and an empty state directory, not started."""
    ovvm = Instance(build, **instance)
    try:
        yield ovvm
    except BaseException:
        ovvm.__exit__(Failed)
        raise
    ovvm.__exit__(None)


def sql(ovvm: Instance, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{ovvm.state}/ovvm.db?mode=ro", uri=True)) as db:
        return list(db.execute(query))


def change(ovvm: Instance, *statements: str) -> None:
    with closing(sqlite3.connect(f"{ovvm.state}/ovvm.db")) as db, db:
        for statement in statements:
            db.execute(statement)


def state(ovvm: Instance) -> tuple[str, int]:
    return sql(ovvm, "SELECT state, generation FROM instance")[0]


def refused(ovvm: Instance, words: str, *command: str) -> str:
    done = ovvm.run(*command)
    same(done.returncode, 3, f"exit status of {' '.join(command)} ({done.stderr.strip()} {done.stdout.strip()})")
    check(words in done.stderr, f"{' '.join(command)} says {words!r}: {done.stderr.strip()}")
    return done.stderr


def killed_at(ovvm: Instance, point: str, *command: str) -> None:
    tool = find("ovvm", ovvm.build)
    assert tool
    done = subprocess.run([str(tool), "-c", str(ovvm.conf), *command], capture_output=True, timeout=60,
                          env={**os.environ, "OVVM_FAILPOINT": point})
    same(done.returncode, -signal.SIGKILL, f"killed at {point} ({done.stderr.decode()})")


def translators(ovvm: Instance) -> list[int]:
    """The sandboxed processes of this daemon."""
    found = []
    for path in Path("/proc").iterdir():
        try:
            if path.name.isdigit() and (path / "comm").read_text().strip() == "ovvm-translate":
                ids = (path / "stat").read_text().rsplit(")", 1)[1].split()
                assert ovvm.process
                if os.getsid(int(path.name)) == ovvm.process.pid or int(ids[2]) == ovvm.process.pid:
                    found.append(int(path.name))
        except (OSError, ProcessLookupError):
            continue
    return found


def in_hand(tap: Tap, build: Path) -> None:
    with Sink() as sink, place(build, relay=("127.0.0.1", sink.port)) as old, \
            place(build, relay=("127.0.0.1", sink.port)) as new:
        file = old.directory / "bundle"
        with tap.case("letters still in hand when the drain time ends go back to their queues, are listed, and move"):
            old.start()
            stopped = until(lambda: translators(old), WAIT, "translators")
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            try:
                with Client(old.smtp) as client:
                    for n in range(3):
                        check(client.deliver(letter(f"M{n:07}")), "250")
                done = old.ovvm("relocate", "export", str(file), "--drain", "0")
            finally:
                for pid in stopped:
                    try:
                        os.kill(pid, signal.SIGCONT)
                    except ProcessLookupError:
                        pass
            back = {(one["id"], one["queue"]) for one in done.get("back", [])}
            check(back, "letters are listed as put back")
            same({queue for _, queue in back}, {"mail_in"}, "their queue")
            check(back <= set(sql(old, "SELECT id, 'mail_in' FROM item WHERE queue = 3")), "and they are in it")
            same(state(old)[0], "moved", "state of the old side")
            before = sql(old, "SELECT id, queue, state FROM item ORDER BY id")
        with tap.case("what a translator answers later changes nothing on the old side, and the new side delivers each once"):
            check(old.ovvm("status")["state"] == "moved", "the daemon answers")
            old.stop()
            same(sql(old, "SELECT id, queue, state FROM item ORDER BY id"), before, "letters of the old side")
            new.ovvm("relocate", "import", str(file))
            new.ovvm("relocate", "activate")
            new.start()
            with Node(HOST, MAILNODE, connect=("127.0.0.1", new.link_port)) as host:
                host.wait_for(3, WAIT)
                until(lambda: not sql(new, "SELECT 1 FROM item WHERE state = 0 AND queue <> 0"), WAIT, "empty queues")
                arrived = [t for spool in host.received for t in tokens_of("\n".join(note_lines(spool)).encode())]
                same(sorted(arrived), [f"M{n:07}" for n in range(3)], "letters, each once")


def export_fails(tap: Tap, build: Path) -> None:
    with Sink() as sink, place(build, relay=("127.0.0.1", sink.port)) as ovvm:
        tables = ovvm.directory / "tables"
        tables.mkdir()
        with tap.case("an export that fails opens the doors again: mail flows in both directions, no number is lost"):
            ovvm.start()
            (tables / "big.csm").write_bytes(bytes(17 * 1024 * 1024))
            file = ovvm.directory / "bundle"
            for _ in range(3):
                refused(ovvm, "this instance goes on", "relocate", "export", str(file), "--drain", "1")
                same(state(ovvm), ("active", 1), "state")
                until(ovvm.ready, WAIT, "its door to open again")
            same([p.name for p in ovvm.directory.glob("bundle*")], [], "leftovers")
            with Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host, Client(ovvm.smtp) as client:
                check(host.wait_up(WAIT), "the link is up")
                check(client.deliver(letter("M0000001")), "250")
                check(send_note(host, "H0000001").wait(WAIT), "C0")
                host.wait_for(1, WAIT)
                sink.wait_for(1, WAIT)
            same(sql(ovvm, "SELECT user_id FROM host_address WHERE kind = 2"), [("X0000001",)], "the first number")
        with tap.case("the same when ovvmd is stopped"):
            ovvm.stop()
            refused(ovvm, "this instance goes on", "relocate", "export", str(file))
            same(state(ovvm), ("active", 1), "state")
        with tap.case("killed while it takes the export back: closed, and both ways on work"):
            killed_at(ovvm, "relocate.before-undo", "relocate", "export", str(file))
            same(state(ovvm)[0], "exporting", "state")
            (tables / "big.csm").unlink()
            bundle = ovvm.ovvm("relocate", "export", str(file))["bundle"]
            killed_at(ovvm, "relocate.before-cancel", "relocate", "cancel", bundle, "--never-activated")
            same(state(ovvm)[0], "moved", "state")
            ovvm.ovvm("relocate", "cancel", bundle, "--never-activated")
            same(state(ovvm)[0], "active", "state")


def other_meaning(tap: Tap, build: Path) -> None:
    with place(build) as old, place(build) as new:
        file = old.directory / "bundle"
        with tap.case("addresses that would mean something else are listed, and nothing becomes active by itself"):
            old.start()
            with Client(old.smtp) as client:
                check(client.deliver(letter("M0000001")), "250")
            until(lambda: sql(old, "SELECT 1 FROM correlation"), WAIT, "the correlation row")
            old.stop()
            change(old, "INSERT INTO person VALUES (700, CAST('far@example.com' AS BLOB), X'', 1, 10, 20)",
                   "INSERT INTO host_address (node, user_id, person, kind, main, made_us, kind_us) VALUES ('OLDNODE', 'X0000017', 700, 2, 1, 10, 10)")
            tables = old.directory / "tables"
            tables.mkdir()
            ovdfile = f"{MAILNODE} LOCAL MSX\nOLDNODE LOCAL MSY\n{HOST} CMS CMS\n"
            (tables / "Ovdfile.dat").write_text(ovdfile)
            old.sections["connector"]["tables"] = str(tables)
            old.write_conf()
            old.ovvm("relocate", "export", str(file))
            got = new.ovvm("relocate", "import", str(file))
            check(got["differences"] == 1 and "OLDNODE(X0000017)" in got["differ"][0], f"listed: {got['differ']}")
            says = refused(new, "--accept", "relocate", "activate")
            check("OLDNODE" in says, f"it names the address: {says}")
            same(state(new)[0], "imported", "state")
        with tap.case("with the bundle's own tables in place they mean the same, and it becomes active"):
            new.sections["connector"]["tables"] = str(new.directory / "tables")
            new.write_conf()
            same((new.directory / "tables" / "Ovdfile.dat").read_text(), ovdfile, "the table that the import put in place")
            killed_at(new, "relocate.before-active", "relocate", "activate")
            same(state(new)[0], "imported", "state")
            done = new.ovvm("relocate", "activate")
            same(done["differences"], 0, "differences")
            check({test["what"].split()[0] for test in done["tests"]} == {"link", "relay"}, f"tests: {done['tests']}")
        with tap.case("an Ovdfile.dat that is there is never overwritten"):
            with place(build) as third:
                mine = third.directory / "tables"
                mine.mkdir()
                (mine / "Ovdfile.dat").write_text(ovdfile + "; mine\n")
                third.sections["connector"]["tables"] = str(mine)
                third.write_conf()
                got = third.ovvm("relocate", "import", str(file))
                check("differs" in got["tables"]["Ovdfile.dat"], f"said: {got['tables']}")
                same((mine / "Ovdfile.dat").read_text(), ovdfile + "; mine\n", "the operator's table")
        with tap.case("without a configuration a proposal is made, with what belongs to one computer left blank"):
            with place(build) as fourth:
                fourth.conf.unlink()
                refused(fourth, ".proposed", "relocate", "import", str(file))
                text = Path(f"{fourth.conf}.proposed").read_text()
                check(f"node = {MAILNODE}\n" in text and "domain = vm.example.org\n" in text, f"kept: {text}")
                check("state =\n" in text and "relay =\n" in text and f"; it was {old.state}\n" in text, f"blank: {text}")
                before = text
                refused(fourth, "cannot be made", "relocate", "import", str(file))
                same(Path(f"{fourth.conf}.proposed").read_text(), before, "the proposal, edited perhaps")
        with tap.case("inspect compares each key of the configuration"):
            keys = {(k["section"], k["key"]): k["is"] for k in new.ovvm("relocate", "inspect", str(file))["configuration"]}
            same((keys["connector", "node"], keys["connector", "state"]), ("same", "machine-specific"), "node and state")


def back_and_forth(tap: Tap, build: Path) -> None:
    with place(build) as a, place(build) as b:
        with tap.case("moved there and back: the fenced side takes its own lineage again, and numbers go on"):
            a.start()
            with Client(a.smtp) as client:
                check(client.deliver(letter("M0000001")), "250")
            until(lambda: sql(a, "SELECT 1 FROM item WHERE queue = 4"), WAIT, "the file for the host")
            there, home = a.directory / "there", b.directory / "home"
            a.ovvm("relocate", "export", str(there))
            a.stop()
            b.ovvm("relocate", "import", str(there))
            b.ovvm("relocate", "activate")
            refused(a, "import the bundle on the new computer", "relocate", "import", str(there))
            b.start()
            with Client(b.smtp) as client:
                check(client.deliver(compose("second@example.net", [HOST_MAILBOX], "Hello", "TOKEN-M0000002", id="M0000002")),
                      "250")
            until(lambda: len(sql(b, "SELECT 1 FROM item WHERE queue = 4")) == 2, WAIT, "the second file")
            b.ovvm("relocate", "export", str(home))
            b.stop()
            killed_at(a, "relocate.import-kept", "relocate", "import", str(home))
            same(state(a)[0], "moved", "state: the old one")
            a.ovvm("relocate", "import", str(home))
            check((a.state / "ovvm.db.replaced").exists(), "the old ledger is kept")
            receipt = a.ovvm("relocate", "activate")["receipt"]
            same(state(a), ("active", 3), "state")
            b.ovvm("relocate", "done", receipt)
            a.start()
            with Node(HOST, MAILNODE, connect=("127.0.0.1", a.link_port)) as host:
                with Client(a.smtp) as client:
                    check(client.deliver(compose("third@example.net", [HOST_MAILBOX], "Hello", "TOKEN-M0000003",
                                                 id="M0000003")), "250")
                host.wait_for(3, WAIT)
                arrived = sorted(t for spool in host.received for t in tokens_of("\n".join(note_lines(spool)).encode()))
                same(arrived, ["M0000001", "M0000002", "M0000003"], "letters, each once")
            numbers = [row[0] for row in sql(a, "SELECT user_id FROM host_address WHERE kind = 2 ORDER BY user_id")]
            same(len(set(numbers)), 3, f"three people, three numbers: {numbers}")
            a.stop()
            refused(a, "two would give out", "relocate", "import", str(home))
        with tap.case("the other side is lost after it was active: numbers jump, letters are held"):
            bundle = a.ovvm("relocate", "export", str(a.directory / "lost"))["bundle"]
            change(a, "UPDATE sequence SET next = 20 WHERE name = 'registration'")
            refused(a, "--was-active", "relocate", "cancel", bundle)
            a.ovvm("relocate", "cancel", bundle, "--was-active")
            same(state(a), ("active", 4), "state")
            check(sql(a, "SELECT next FROM sequence WHERE name = 'registration'")[0][0] >= 100020, "numbers skipped")
        with tap.case("a new computer whose daemon ran once already takes the bundle"):
            with place(build) as fresh:
                fresh.start()
                fresh.stop()
                a.ovvm("relocate", "export", str(a.directory / "again"))
                fresh.ovvm("relocate", "import", str(a.directory / "again"))
                same(state(fresh)[0], "imported", "state")


def merged(tap: Tap, build: Path) -> None:
    with place(build, node="OTHERND") as other, place(build) as main:
        file = other.directory / "bundle"
        for ovvm in (other, main):
            ovvm.start()
            with Client(ovvm.smtp) as client:
                check(client.deliver(letter("M0000001" if ovvm is other else "M0000002")), "250")
                if ovvm is other:
                    check(client.deliver(compose("only@there.example", [HOST_MAILBOX], "Hello", "TOKEN-M0000003",
                                                 id="M0000003")), "250")
            until(lambda: len(sql(ovvm, "SELECT 1 FROM item WHERE queue = 4")) == (2 if ovvm is other else 1), WAIT, "files")
            ovvm.stop()
        tables = main.directory / "tables"
        tables.mkdir()
        (tables / "Ovdfile.dat").write_text(f"{MAILNODE} LOCAL MSX\nOTHERND LOCAL MSY\n{HOST} CMS CMS\n")
        main.sections["connector"]["tables"] = str(tables)
        main.write_conf()
        query = "SELECT node, user_id FROM host_address WHERE kind = 2 ORDER BY 1, 2"
        mine, theirs = sql(main, query), sql(other, query)
        with tap.case("a bundle of another site is merged: every pair stays under its node, whoever wrote to both keeps both"):
            other.ovvm("relocate", "export", str(file))
            refused(main, "--merge", "relocate", "import", str(file))
            killed_at(main, "relocate.merged", "relocate", "import", "--merge", str(file))
            same((state(main)[0], sql(main, query)), ("active", mine), "nothing came in")
            main.ovvm("relocate", "import", "--merge", str(file))
            same(sql(main, query), sorted(mine + theirs), "pairs")
            both = sql(main, "SELECT h.node, h.main FROM host_address h JOIN person p ON p.key = h.person WHERE p.address = "
                             "CAST('alice.longname@example.com' AS BLOB) AND h.kind = 2 ORDER BY h.node")
            same(both, [(MAILNODE, 1), ("OTHERND", 0)], "who is known on both sides")
            same(len(sql(main, "SELECT 1 FROM item WHERE queue = 4")), 3, "letters")
            same(len(sql(main, "SELECT 1 FROM correlation")), 3, "correlation rows")
            same(sql(main, "SELECT count(*) FROM content c WHERE NOT EXISTS (SELECT 1 FROM item i WHERE i.key = c.chunk / 65536)"),
                 [(0,)], "contents without a letter")
            same(state(main)[0], "imported", "state")
            receipt = main.ovvm("relocate", "activate")["receipt"]
            other.ovvm("relocate", "done", receipt)
            main.start()
            with Node(HOST, MAILNODE, connect=("127.0.0.1", main.link_port)) as host:
                host.wait_for(3, WAIT)
            main.stop()
        with tap.case("the same node with differing owners is refused and listed, nothing is renumbered"):
            with place(build) as twin:
                twin.start()
                with Client(twin.smtp) as client:
                    check(client.deliver(compose("somebody@else.example", [HOST_MAILBOX], "Hello", "x", id="M0000009")), "250")
                until(lambda: sql(twin, "SELECT 1 FROM item WHERE queue = 4"), WAIT, "the file")
                twin.stop()
                twin.ovvm("relocate", "export", str(twin.directory / "twin"))
                before = sql(main, query)
                says = refused(main, "contradict", "relocate", "import", "--merge", str(twin.directory / "twin"))
                check("MICROSFT(X0000001): here it is alice.longname@example.com, there somebody@else.example" in says, says)
                same((sql(main, query), state(main)[0]), (before, "active"), "the standing side")
                bundle = sql(twin, "SELECT bundle FROM instance")[0][0]
                twin.ovvm("relocate", "cancel", bundle, "--never-activated")


def sealed(tap: Tap, build: Path) -> None:
    with place(build) as old, place(build) as new:
        with tap.case("encrypted and signed: other programs check the signature, and nothing is read without the passphrase"):
            secret, other = old.directory / "passphrase", old.directory / "other"
            secret.write_text("a long enough passphrase\n")
            other.write_text("another long passphrase\n")
            for path in (secret, other):
                path.chmod(0o600)
            key, public = old.directory / "key.pem", old.directory / "public.pem"
            subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True, capture_output=True)
            subprocess.run(["openssl", "pkey", "-in", str(key), "-pubout", "-out", str(public)], check=True, capture_output=True)
            key.chmod(0o600)
            old.start()
            with Client(old.smtp) as client:
                check(client.deliver(letter("M0000001")), "250")
            until(lambda: sql(old, "SELECT 1 FROM item WHERE queue = 4"), WAIT, "the file")
            old.stop()
            plain, file = old.directory / "plain", old.directory / "bundle"
            old.ovvm("backup", str(plain), "--sign-key", str(key))
            folder = old.directory / "folder"
            folder.mkdir()
            if subprocess.run(["tar", "--zstd", "-xf", str(plain), "-C", str(folder)], capture_output=True).returncode == 0:
                done = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public), "-rawin", "-in",
                                       str(folder / "SHA256SUMS"), "-sigfile", str(folder / "SHA256SUMS.sig")],
                                      capture_output=True, text=True)
                same(done.returncode, 0, f"openssl pkeyutl -verify: {done.stdout}{done.stderr}")
            old.ovvm("relocate", "export", str(file), "--passphrase-file", str(secret), "--sign-key", str(key))
            same(file.stat().st_mode & 0o777, 0o600, "mode")
            check(b"zstd" not in file.read_bytes()[:4] and file.read_bytes().startswith(b"OVVM-SEALED 1 "), "its first line")
            check(b"alice" not in file.read_bytes().lower(), "nothing readable in it")
            refused(new, "--passphrase-file", "relocate", "import", str(file))
            refused(new, "another passphrase", "relocate", "import", str(file), "--passphrase-file", str(other))
            refused(new, "not encrypted", "relocate", "inspect", str(plain), "--passphrase-file", str(secret))
            whole = file.read_bytes()
            for at in (20, 60, len(whole) // 2, len(whole) - 1):
                (new.directory / "flipped").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
                refused(new, "", "relocate", "import", str(new.directory / "flipped"), "--passphrase-file", str(secret))
            same(list(new.state.iterdir()), [], "the state directory")
        with tap.case("a bundle of somebody else, or of nobody, is refused where a signature is asked for"):
            foreign = old.directory / "foreign.pem"
            subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(foreign)], check=True, capture_output=True)
            strange = old.directory / "strange.pem"
            subprocess.run(["openssl", "pkey", "-in", str(foreign), "-pubout", "-out", str(strange)], check=True,
                           capture_output=True)
            refused(new, "not signed with", "relocate", "import", str(file), "--passphrase-file", str(secret), "--verify-key",
                    str(strange))
            old.ovvm("backup", str(old.directory / "unsigned"))
            refused(new, "not signed", "restore", str(old.directory / "unsigned"), "--verify-key", str(public))
            got = new.ovvm("relocate", "inspect", str(file), "--passphrase-file", str(secret), "--verify-key", str(public))
            same((got["signature"], got["encrypted"]), ("right", True), "inspect")
            new.ovvm("relocate", "import", str(file), "--passphrase-file", str(secret), "--verify-key", str(public))
            new.ovvm("relocate", "activate")
            same(len(sql(new, "SELECT 1 FROM item WHERE queue = 4")), 1, "letters")
        with tap.case("a passphrase or key that everybody can read, or that is too short, is refused before anything happens"):
            secret.chmod(0o644)
            refused(new, "all users", "relocate", "export", str(new.directory / "x"), "--passphrase-file", str(secret))
            secret.chmod(0o600)
            secret.write_text("short\n")
            refused(new, "less than", "relocate", "export", str(new.directory / "x"), "--passphrase-file", str(secret))
            public.chmod(0o600)
            refused(new, "no private key", "relocate", "export", str(new.directory / "x"), "--sign-key", str(public))
            same((state(new)[0], [p.name for p in new.directory.glob("x*")]), ("active", []), "state, leftovers")


INI = """; of the old machine
[LME]
ADHOCID=linkage
[LME-PROFS]
LOCALNODE=MICROSFT
PARTNERNODE=MAPLEC1
LOCID=MSX
LOCALLU=LU1
autoregistration=Yes
CTKEEPDAYS=7
maxnumhops=10
[QM]
QROOT=D:\\exchconn\\q
FOO=bar
"""
REPLY = ["From: GEORGEB at MAPLEC1", "To: X0000017 at MICROSFT", "Subject: Re: last year's numbers", "", "TOKEN-H0000017"]


def answer(ovvm: Instance, sink: Sink, user: str = "X0000017") -> list[str]:
    """Who gets what a host user writes to that address of old."""
    with Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
        check(host.wait_up(WAIT), "the link is up")
        count = len(sink.letters)
        check(host.send_file([card(line) for line in REPLY], origin=(HOST, "GEORGEB"), dest=(MAILNODE, user), fn="GEORGEB",
                             ft="NOTE", dist="SYSTEM").wait(WAIT), "C0")
        return list(sink.wait_for(count + 1, WAIT)[count].recipients)


def original(tap: Tap, build: Path) -> None:
    with Sink() as sink, place(build, relay=("127.0.0.1", sink.port)) as new:
        source, folder = new.directory / "exchconn", new.directory / "converted"
        (source / "TABLES").mkdir(parents=True)
        (source / "EXCHCONN.INI").write_text(INI)
        (source / "TABLES" / "Ovdfile.dat").write_text("MICROSFT LOCAL MSX\nMAPLEC1 CMS CMS\nMAPLEC2 MAILMAN LO1\n")
        (source / "TABLES" / "Route.tbl").write_text("SOMETHING:ELSE\n")
        (source / "TABLES" / "Ct2.dat").write_bytes(bytes(range(256)))
        (source / "own.csm").write_bytes(bytes(range(255, -1, -1)))
        with tap.case("the original product's files without registrations: taken, with a loud warning"):
            done = new.run("relocate", "original", str(source), str(new.directory / "bare"))
            check(done.returncode == 0 and "WARNING" in done.stdout, f"it warns: {done.stdout} {done.stderr}")
        with tap.case("with them: every file and every key of the ini gets its line"):
            (source / "TABLES" / "PROFSreg.csv").write_text(
                'Address,Full Name,Host\nalice@example.com,"Longname, Alice",MICROSFT(X0000017)\n'
                "bob@example.com,Bob,MICROSFT(BOB1)\nbob@example.com,Bob,MICROSFT(X0000003)\n")
            got = new.ovvm("relocate", "original", str(source), str(folder))
            same(got["registrations"], 3, "registrations")
            says = "\n".join(got["says"])
            for name in ("ADHOCID", "LOCALNODE", "PARTNERNODE", "LOCID", "LOCALLU", "autoregistration", "CTKEEPDAYS", "maxnumhops",
                         "QROOT", "FOO", "Ovdfile.dat", "Route.tbl", "Ct2.dat", "own.csm", "PROFSreg.csv"):
                check(name in says, f"{name} has no line in: {says}")
            same((folder / "Tables" / "Ct2.dat").read_bytes(), bytes(range(256)), "a file that is carried unopened")
            check((folder / "Tables" / "Route.tbl.original").exists(), "the routes are kept")
            conf = (folder / "ovvm.conf.reference").read_text()
            for line in ("node = MICROSFT", "location = MSX", "[link MAPLEC1]", "nodes = MAPLEC1 MAPLEC2", "registration = auto",
                         "max-hops = 10", "state =", "relay ="):
                check(f"{line}\n" in conf, f"{line!r} in the proposal: {conf}")
        with tap.case("imported, a host user's reply to an address of the old product reaches its person"):
            tables = new.directory / "tables"
            new.sections["connector"].update({"tables": str(tables), "location": "MSX"})
            new.sections[f"link {HOST}"]["nodes"] = "MAPLEC1 MAPLEC2"
            new.write_conf()
            new.ovvm("relocate", "import", "--unsealed", str(folder))
            new.ovvm("relocate", "activate")
            new.start()
            same(answer(new, sink), ["alice@example.com"], "who gets it")
            with Client(new.smtp) as client:
                check(client.deliver(letter("M0000001")), "250")
            until(lambda: sql(new, "SELECT 1 FROM item WHERE queue = 4"), WAIT, "the file")
            same(sql(new, "SELECT user_id FROM host_address WHERE kind = 2 AND person = (SELECT key FROM person WHERE address = "
                          "CAST('alice.longname@example.com' AS BLOB))"), [("X0000018",)], "the next number is a fresh one")
        with tap.case("one host address with two owners is refused with both lines"):
            (source / "TABLES" / "Profs.csv").write_text("address,host\nother@example.com,MICROSFT(X0000017)\n")
            refused(new, "to two people", "relocate", "original", str(source), str(new.directory / "twice"))


def by_hand(tap: Tap, build: Path) -> None:
    with Sink() as sink, place(build, relay=("127.0.0.1", sink.port)) as new:
        with tap.case("a folder written by hand, as the page describes it, is imported and its addresses work"):
            folder = new.directory / "by-hand"
            (folder / "Tables").mkdir(parents=True)
            (folder / "Tables" / "Profs.csv").write_text("key,address,name,source,made_us,used_us\n1,alice@example.com,Alice,1,0,0\n")
            (folder / "Tables" / "PROFSreg.csv").write_text(
                "user_id,node,person,kind,main,made_us,kind_us\nX0000017,MICROSFT,1,2,1,0,0\n")
            (folder / "manifest.json").write_text(json.dumps({
                "format": "ovvm-bundle", "format_version": 1, "bundle": "0" * 31 + "1", "kind": "move", "made_us": 0,
                "lineage": "0" * 31 + "2", "generation": 1, "schema": 1, "node": MAILNODE, "domain": "vm.example.org"}))
            new.ovvm("relocate", "import", "--unsealed", str(folder))
            new.ovvm("relocate", "activate")
            same(sql(new, "SELECT next FROM sequence WHERE name = 'registration'"), [(18,)], "the next number")
            new.start()
            same(answer(new, sink), ["alice@example.com"], "who gets it")


def golden(tap: Tap, build: Path) -> None:
    with Sink() as sink, place(build, relay=("127.0.0.1", sink.port)) as new:
        for file in sorted(GOLDEN.glob("release-*")):
            with tap.case(f"the bundle of an earlier release, {file.name}, is imported, its letters go out and its addresses work"):
                new.ovvm("relocate", "import", str(file))
                new.ovvm("relocate", "activate", "--accept")
                new.start()
                with Node(HOST, MAILNODE, connect=("127.0.0.1", new.link_port)) as host:
                    host.wait_for(2, WAIT)
                    arrived = sorted(t for spool in host.received for t in tokens_of("\n".join(note_lines(spool)).encode()))
                    same(arrived, ["M0000000", "M0000001"], "letters, each once")
                same(answer(new, sink, "X0000001"), ["alice.longname@example.com"], "who gets a reply to the registered address")


def make_golden(build: Path, file: Path) -> None:
    """Writes the bundle of this release anew, with a configuration that names no place of this computer."""
    with place(build) as ovvm:
        ovvm.start()
        with Client(ovvm.smtp) as client:
            for n in range(2):
                check(client.deliver(letter(f"M{n:07}")), "250")
        until(lambda: len(sql(ovvm, "SELECT 1 FROM item WHERE queue = 4")) == 2, WAIT, "the files")
        ovvm.stop()
        ovvm.sections["connector"].update({"state": "/var/lib/ovvm", "people": None})
        ovvm.sections["store"]["url"] = "sqlite:/var/lib/ovvm/ovvm.db"
        ovvm.sections["admin"]["socket"] = "/run/ovvm/control.sock"
        ovvm.sections[f"link {HOST}"]["listen"] = "127.0.0.1:175"
        ovvm.sections["smtp-in"]["listen"] = "127.0.0.1:2525"
        ovvm.sections["smtp-out"]["relay"] = "127.0.0.1:25"
        ovvm.write_conf()
        ovvm.ovvm("relocate", "export", str(file), "--state", str(ovvm.state))


def killed_backup(tap: Tap, build: Path) -> None:
    """Backup and restore stop at the same places as export and import."""
    with place(build) as old:
        old.start()
        with Client(old.smtp) as client:
            check(client.deliver(letter("M0000001")), "250")
        until(lambda: sql(old, "SELECT 1 FROM item WHERE queue = 4"), WAIT, "the file")
        file = old.directory / "backup"
        with tap.case("a backup that is killed changes nothing and has no name; the next one works"):
            killed_at(old, "relocate.written", "backup", str(file))
            same((file.exists(), state(old)[0], old.ready()), (False, "active", True), "a file, state, open")
            old.ovvm("backup", str(file))
        for point in ("relocate.import-begun", "relocate.import-read", "relocate.import-built", "relocate.imported"):
            with tap.case(f"a restore killed at {point}: nothing, or all of it with its letters held"):
                with place(build) as new:
                    killed_at(new, point, "restore", str(file))
                    same((new.state / "ovvm.db").exists(), point == "relocate.imported", "is there a ledger")
                    if point != "relocate.imported":
                        new.ovvm("restore", str(file))
                    same((state(new), sql(new, "SELECT state FROM item WHERE queue <> 0")), (("active", 2), [(1,)]), "state, letters")
                    refused(new, "newer than the backup", "restore", str(file))


def main() -> None:
    tap, args = start(__doc__, limit=600, options=lambda parser: parser.add_argument(
        "--golden", type=Path, help="only writes the bundle of this release to this file"))
    if args.golden:
        make_golden(args.build, args.golden)
        return
    in_hand(tap, args.build)
    export_fails(tap, args.build)
    other_meaning(tap, args.build)
    sealed(tap, args.build)
    original(tap, args.build)
    by_hand(tap, args.build)
    golden(tap, args.build)
    if set(POINTS) <= set(failpoints(args.build)) | set(
            subprocess.run([str(find("ovvm", args.build)), "--failpoints"], capture_output=True, text=True).stdout.split()):
        killed_backup(tap, args.build)
        back_and_forth(tap, args.build)
        merged(tap, args.build)
    else:
        tap.skip("moving back and merging", "this build has no fault injection (-Dfaults=true)")
    tap.finish()


if __name__ == "__main__":
    main()
