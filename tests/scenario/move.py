#!/usr/bin/env python3
"""Moving to another computer, backup and restore: every letter arrives once, no number is given twice, and at every moment
at most one instance sends mail. Killed anywhere in between, the state before or the state after is there.
"""

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Iterator

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]

import relocate  # noqa: E402

from harness import HOST, MAILNODE, Failed, Instance, Skip, Tap, check, failpoints, find, same, start, until  # noqa: E402
from peer.ebcdic import card  # noqa: E402
from peer.mail import Client, Sink, compose  # noqa: E402
from peer.nje import Node  # noqa: E402
from traffic import HOST_MAILBOX, HOST_USER, OUTSIDE_ADDRESS, SENDER, Traffic, letter, note_lines, send_note, tokens_of  # noqa: E402

WAIT = 20.0
EXPORT_POINTS = ("relocate.before-exporting", "relocate.exporting", "relocate.written", "relocate.before-moved",
                 "relocate.moved", "relocate.published")
IMPORT_POINTS = ("relocate.import-begun", "relocate.import-read", "relocate.import-built", "relocate.imported")


def place(build: Path, sink: Sink | None = None) -> Instance:
    """An instance with its configuration and an empty state directory, not started."""
    return Instance(build, relay=("127.0.0.1", sink.port) if sink else None)


@contextmanager
def empty(build: Path, sink: Sink | None = None) -> Iterator[Instance]:
    ovvm = place(build, sink)
    try:
        yield ovvm
    except BaseException:
        ovvm.__exit__(Failed)
        raise
    ovvm.__exit__(None)


def sql(ovvm: Instance, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{ovvm.state}/ovvm.db?mode=ro", uri=True)) as db:
        return list(db.execute(query))


def state(ovvm: Instance) -> tuple[str, int, str]:
    return sql(ovvm, "SELECT state, generation, coalesce(bundle, '') FROM instance")[0]


def change(ovvm: Instance, *statements: str) -> None:
    """Facts that only later releases make themselves."""
    with closing(sqlite3.connect(f"{ovvm.state}/ovvm.db")) as db, db:
        for statement in statements:
            db.execute(statement)


def refused(ovvm: Instance, status: int, words: str, *command: str) -> None:
    done = ovvm.run(*command)
    same(done.returncode, status, f"exit status of {' '.join(command)} ({done.stderr.strip()} {done.stdout.strip()})")
    check(words in done.stderr, f"{' '.join(command)} says {words!r}: {done.stderr.strip()}")


def open_quietly(ovvm: Instance) -> None:
    """Starts a daemon whose doors stay closed."""
    ovvm.launch()
    until(lambda: ovvm.run("status").returncode == 0 or not ovvm.alive(), WAIT, "it to answer")
    check(ovvm.alive(), "the daemon runs")


def pending(ovvm: Instance, letters: int, files: int) -> set[str]:
    """Letters for a host that is not connected, and host files for a relay that is not there; the tokens."""
    with Client(ovvm.smtp) as client:
        for n in range(letters):
            check(client.deliver(letter(f"M{n:07}", "a line\n" * (1 + n * n * 400))), "250")
    if files:
        with Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port), quirks=dict(withhold=True)) as host:
            check(host.wait_up(WAIT), "the link is up")
            for n in range(files):
                check(send_note(host, f"H{n:07}").wait(WAIT), "C0")
            check(host.send_file([card("TOKEN-H9999999")], origin=(HOST, ""), dest=OUTSIDE_ADDRESS, fn="LOST",
                                 ft="NOTE").wait(WAIT), "C0")
            until(lambda: any(q["quarantine"] for q in ovvm.ovvm("status")["queues"]), WAIT, "quarantine")
    until(lambda: not sql(ovvm, "SELECT 1 FROM item WHERE state = 0 AND queue IN (1, 3)"), WAIT, "translations")
    return {f"M{n:07}" for n in range(letters)} | {f"H{n:07}" for n in range(files)}


def copy_of(file: Path, ovvm: Instance) -> str:
    there = ovvm.directory / file.name
    there.write_bytes(file.read_bytes())
    return str(there)


def unpacked(file: Path, to: Path) -> Path:
    """With other programs than ours; tar calls zstd."""
    to.mkdir()
    done = subprocess.run(["tar", "--zstd", "-xf", str(file), "-C", str(to)], capture_output=True, text=True)
    if done.returncode != 0:
        raise Skip(f"tar cannot read zstd here: {done.stderr.strip()}")
    return to


def whole_move(tap: Tap, build: Path, running: bool) -> None:
    how = "running" if running else "stopped"
    with Sink() as sink, place(build) as old, empty(build, sink) as new:
        file = old.directory / "bundle"
        with tap.case(f"{how}: an instance with letters in all states is exported, and takes no more mail"):
            wanted = pending(old, 5, 4)
            change(old, "INSERT INTO person VALUES (7, CAST('=cmd@example.com' AS BLOB), X'FF00', 1, 10, 20)",
                   "INSERT INTO host_address VALUES ('MICROSFT', 'X0000017', 7, 2, 1, 10, 10)",
                   "INSERT INTO person VALUES (8, CAST('dir@example.com' AS BLOB), CAST('Di' AS BLOB), 5, 10, 20)",
                   "INSERT INTO host_address VALUES ('MICROSFT', 'DIR', 8, 1, 1, 10, 10)",
                   "INSERT INTO directory VALUES ('people', 1790000000000000, 1)",
                   "UPDATE sequence SET next = 12 WHERE name = 'registration'")
            tables = old.directory / "tables"
            tables.mkdir()
            (tables / "own.csm").write_bytes(b"\x00\xff custom")
            (tables / "Route.tbl").write_text("MAPLEC1 MAPLEC2\n")
            (tables / "Hostusers.csv").write_text("MAPLEC1(GEORGEB),George Barnes\n")
            (tables / "notes.txt").write_text("not a table")
            before = {table: sql(old, f"SELECT count(*) FROM {table}")[0][0] for table in ("item", "recipient", "track")}
            if not running:
                old.stop()
            done = old.ovvm("relocate", "export", str(file), "--drain", "2")
            same(state(old)[:2], ("moved", 1), "state of the old side")
            same(done["bundle"], state(old)[2], "the bundle's id")
            same((file.stat().st_mode & 0o777, file.with_name("bundle.tmp").exists()), (0o600, False), "mode, leftovers")
        with tap.case(f"{how}: the old side says why it takes nothing, also after a restart"):
            if running:
                check(old.alive() and not old.ready(), "its door is closed")
                warning = old.ovvm("status")["warnings"][0]
                check("moved" in warning["text"] and "relocate done" in warning["remedy"], f"status: {warning}")
                refused(old, 3, "not active", "queue", "hold", sql(old, "SELECT id FROM item")[0][0])
                old.stop()
            open_quietly(old)
            old.wait_log("this instance is moved")
            check(not old.ready(), "its door is closed")
            refused(old, 3, "moved into bundle", "relocate", "export", str(old.directory / "second"))
            old.stop()
            refused(old, 3, "only an imported instance", "relocate", "activate")
            refused(old, 3, "--never-activated", "relocate", "cancel", done["bundle"])
            refused(old, 3, "not the receipt", "relocate", "done", "x")
        with tap.case(f"{how}: the bundle is whole to other programs"):
            folder = unpacked(file, old.directory / "unpacked")
            sums = subprocess.run(["sha256sum", "-c", "--quiet", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True,
                                  text=True)
            same((sums.returncode, sums.stdout), (0, ""), "sha256sum -c")
            manifest = json.loads((folder / "manifest.json").read_text())
            same((manifest["node"], manifest["domain"], manifest["generation"]), (MAILNODE, "vm.example.org", 1), "origin")
            people = list(csv.reader((folder / "Tables" / "Profs.csv").open(encoding="utf-8", newline="")))
            same(people[-2][1:3], ["'=cmd@example.com", "\\xFF\\x00"], "no cell is a formula or other than UTF-8")
            same(list(csv.reader((folder / "Tables" / "PROFSreg.csv").open()))[-1][:3], [MAILNODE, "X0000017", "7"], "row")
            same((folder / "Tables" / "own.csm").read_bytes(), b"\x00\xff custom", "a table of the operator's")
            same(list(csv.reader((folder / "State" / "directory.csv").open()))[-1], ["people", "1790000000000000", "1"],
                 "when people were read from a directory")
            check((folder / "Tables" / "Hostusers.csv").exists(), "the list of host users")
            check(not (folder / "Tables" / "notes.txt").exists(), "what is no table stays")
            check("relay = 127.0.0.1" in (folder / "ovvm.conf.reference").read_text(), "the configuration")
            same(len(list((folder / "Quarantine").iterdir())), 1, "letters in quarantine")
            items = [path.read_bytes().split(b"\n", 2) for path in (folder / "Queue").iterdir()]
            same({i[0] for i in items}, {b"OVVM-ITEM 1"}, "first lines")
            check(any(b"TOKEN-H0000000" in i[2] for i in items), "a letter can be read")
        with tap.case(f"{how}: imported, the new side waits for the word; under another name or twice it is refused"):
            there = copy_of(file, new)
            new.sections["connector"]["domain"] = "other.example.org"
            new.write_conf()
            refused(new, 3, "replies to old mail", "relocate", "import", there)
            check(not (new.state / "ovvm.db").exists(), "nothing came in")
            new.sections["connector"]["domain"] = "vm.example.org"
            new.write_conf()
            got = new.ovvm("relocate", "import", there)
            lines = "\n".join(got["host_side"])
            check(got["host_side"][0].startswith("Take the IP address") and str(old.link_port) in lines and
                  f"RMTPORT={new.link_port}" in lines and "REMLOC" not in lines, f"work list: {got['host_side']}")
            same(state(new), ("imported", 1, done["bundle"]), "state of the new side")
            same({table: sql(new, f"SELECT count(*) FROM {table}")[0][0] for table in before}, before, "rows")
            same(sql(new, "SELECT name FROM person WHERE key = 7"), [(b"\xff\x00",)], "bytes")
            same(sql(new, "SELECT source FROM person WHERE key = 8"), [(5,)], "a person of the directory")
            same(sql(new, "SELECT * FROM directory"), [("people", 1790000000000000, 1)], "the directory's state")
            same((new.state / "moved-in" / "own.csm").read_bytes(), b"\x00\xff custom", "the operator's table")
            refused(new, 3, "imported here already", "relocate", "import", there)
            open_quietly(new)
            check(not new.ready(), "its door is closed")
            check("relocate activate" in new.ovvm("status")["warnings"][0]["remedy"], "status says what to do")
            refused(new, 3, "stop it first", "relocate", "activate")
            new.stop()
        with tap.case(f"{how}: activated, it delivers every letter once and goes on with numbers nobody has"):
            receipt = new.ovvm("relocate", "activate")["receipt"]
            same(state(new)[:2], ("active", 2), "state of the new side")
            same(sql(new, "SELECT next FROM sequence WHERE name = 'registration'"), [(18,)], "the next number (RL-01)")
            same(new.ovvm("relocate", "activate")["receipt"], receipt, "the receipt, asked for again")
            new.start()
            with Node(HOST, MAILNODE, connect=("127.0.0.1", new.link_port)) as host:
                host.wait_for(5, WAIT)
                sink.wait_for(4, WAIT)
                until(lambda: not sql(new, "SELECT 1 FROM item WHERE state = 0 AND queue <> 0"), WAIT, "empty queues")
                arrived = [t for spool in host.received for t in tokens_of("\n".join(note_lines(spool)).encode())]
                arrived += [t for got in sink.letters for t in tokens_of(got.content)]
                same(sorted(arrived), sorted(wanted), "letters, each once")
                with Client(new.smtp) as client:
                    check(client.deliver(letter("M0000099")), "250")
                host.wait_for(6, WAIT)
                known = sql(new, "SELECT user_id FROM host_address WHERE person = (SELECT key FROM person WHERE address = "
                                 f"CAST('{SENDER}' AS BLOB)) AND kind = 2")
                same(known, [("X0000001",)], "the sender keeps the number that the old side gave")
                subject = "Quarterly numbers M0000000"
                reply = ["From: GEORGEB at MAPLEC1", "To: X0000001 at MICROSFT", f"Subject: Re: {subject}", "", "TOKEN-H0000098"]
                check(host.send_file([card(line) for line in reply], origin=HOST_USER, dest=(MAILNODE, "X0000001"),
                                     fn="GEORGEB", ft="NOTE", dist="SYSTEM").wait(WAIT), "C0")
                answer = next(got for got in sink.wait_for(5, WAIT) if b"TOKEN-H0000098" in got.content)
                same(answer.recipients, [SENDER], "who gets the answer")
                check(b"In-Reply-To: <M0000000@" in answer.content, f"threaded: {answer.content!r}")
                with Client(new.smtp) as client:
                    check(client.deliver(compose("new@example.net", [HOST_MAILBOX], "Hello", "TOKEN-M0000097",
                                                 id="M0000097")), "250")
                host.wait_for(7, WAIT)
                same(sql(new, "SELECT user_id FROM host_address WHERE person = (SELECT key FROM person WHERE address = "
                              "CAST('new@example.net' AS BLOB))"), [("X0000018",)], "a new sender's number")
            same(sum(q["quarantine"] for q in new.ovvm("status")["queues"]), 1, "still in quarantine")
        with tap.case(f"{how}: the receipt makes the fence final; the new side moves on as before"):
            check("complete" in old.ovvm("relocate", "done", receipt)["said"], "done")
            same(state(old)[0], "done", "state of the old side")
            refused(old, 1, "already", "relocate", "done", receipt)
            refused(old, 3, "active elsewhere", "relocate", "cancel", done["bundle"], "--never-activated")
            new.stop()
            new.ovvm("relocate", "export", str(new.directory / "next"))
            same(state(new)[:2], ("moved", 2), "moved again")


def words(tap: Tap, build: Path) -> None:
    """Wrong order, wrong files."""
    with place(build) as ovvm:
        file = ovvm.directory / "bundle"
        with tap.case("a rehearsal changes nothing here and is never active there"):
            ovvm.ovvm("relocate", "export", str(file), "--rehearsal")
            check(ovvm.ready(), "the daemon goes on")
            same(state(ovvm)[0], "active", "state")
            other = place(build)
            other.ovvm("relocate", "import", copy_of(file, other))
            same(state(other)[0], "rehearsal", "state")
            refused(other, 3, "never becomes active", "relocate", "activate")
            refused(other, 3, "rehearsal", "relocate", "export", str(other.directory / "x"))
            other.__exit__(None)
        with tap.case("an export is taken back: numbers are skipped, and mail flows again"):
            moved = ovvm.ovvm("relocate", "export", str(ovvm.directory / "moved"))["bundle"]
            again = ovvm.ovvm("relocate", "export", "--again", str(ovvm.directory / "again"))
            same(again["bundle"], moved, "the same bundle anew")
            refused(ovvm, 3, "stop it first", "relocate", "cancel", moved, "--never-activated")
            ovvm.stop()
            ovvm.ovvm("relocate", "cancel", moved, "--never-activated")
            same(sql(ovvm, "SELECT next FROM sequence WHERE name = 'registration'"), [(100001,)], "numbers skipped")
            ovvm.start()
            refused(ovvm, 3, "--again", "relocate", "export", "--again", str(ovvm.directory / "x"))
        with tap.case("damaged, cut, absent and foreign files are told apart in words, and nothing comes in"):
            other = place(build)
            whole = (ovvm.directory / "moved").read_bytes()
            for name, data, says in (("cut", whole[:len(whole) // 2], "bundle"), ("text", b"hello", "no bundle"),
                                     ("flipped", whole[:300] + bytes([whole[300] ^ 4]) + whole[301:], "")):
                (other.directory / name).write_bytes(data)
                refused(other, 3, says, "relocate", "import", str(other.directory / name))
                refused(other, 3, says, "relocate", "inspect", str(other.directory / name))
            refused(other, 1, "No such file", "relocate", "import", str(other.directory / "absent"))
            same(list(other.state.iterdir()), [], "the state directory")
            other.__exit__(None)
        with tap.case("a folder: sealed as it was, or edited and unsealed with each row looked at"):
            folder = unpacked(ovvm.directory / "moved", ovvm.directory / "folder")
            sequence = folder / "Tables" / "Lmetprox.seq"
            other = place(build)
            sequence.write_text(sequence.read_text() + "registration,5\n")
            refused(other, 3, "Lmetprox.seq", "relocate", "import", str(folder))
            sequence.write_text("name,next\nregistration,five\n")
            refused(other, 3, "line 2", "relocate", "import", str(folder), "--unsealed")
            sequence.write_text("name,next\nregistration,500\n")
            (folder / "extra").write_text("x")
            refused(other, 3, "extra", "relocate", "import", str(folder), "--unsealed")
            (folder / "extra").unlink()
            same(sorted(p.name for p in other.state.iterdir() if p.name != "moved-in"), [], "the state directory")
            other.ovvm("relocate", "import", str(folder), "--unsealed")
            same(sql(other, "SELECT next FROM sequence WHERE name = 'registration'"), [(500,)], "the edited row")
            other.__exit__(None)
        with tap.case("a copied state directory is refused until it is adopted, and then its letters are held"):
            pending(ovvm, 2, 0)
            ovvm.stop()
            other = place(build)
            for path in ovvm.state.iterdir():
                (other.state / path.name).write_bytes(path.read_bytes())
            other.launch()
            check(other.wait_end(WAIT) == 3, "refused")
            check(any("ovvm relocate adopt" in line for line in other.log_lines()), "it says how to go on")
            refused(ovvm, 1, "nothing to adopt", "relocate", "adopt")
            other.ovvm("relocate", "adopt")
            same(state(other)[:2], ("active", 2), "state")
            other.start()
            queues = {q["name"]: q["held"] for q in other.ovvm("status")["queues"]}
            same(queues["host_out"], 2, "held")
            other.__exit__(None)


def under_load(tap: Tap, build: Path) -> None:
    with Traffic(build) as traffic:
        ovvm = traffic.ovvm
        file = ovvm.directory / "backup"
        with tap.case("a backup under load shows one moment, and mail goes on"):
            ovvm.start()
            traffic.offer(150, 80)
            until(lambda: len(traffic.at_host()) > 5 and len(traffic.at_sink()) > 5, WAIT, "the load to flow")
            ovvm.ovvm("backup", str(file))
            check(ovvm.ready(), "the daemon goes on")
            traffic.quiet()
            traffic.settle()
            same(traffic.duplicates(), (0, 0), "copies")
        with tap.case("restored elsewhere: everything in it is there, held; numbers jump; it says so"):
            other = place(build)
            refused(other, 3, "ovvm restore", "relocate", "import", copy_of(file, other))
            done = other.ovvm("restore", copy_of(file, other))
            same(state(other)[:2], ("active", 2), "state")
            same(sql(other, "PRAGMA integrity_check"), [("ok",)], "the ledger")
            same(sql(other, "SELECT count(*) FROM item WHERE state = 0 AND queue <> 0"), [(0,)], "letters that would go out")
            same(done["held"], sql(other, "SELECT count(*) FROM item WHERE state = 1")[0][0], "held")
            same(done["counts"]["Queue/"], done["held"], "letters in the backup")
            lost = sql(other, "SELECT count(*) FROM item i WHERE NOT EXISTS (SELECT 1 FROM track t WHERE t.letter = i.letter)")
            same(lost, [(0,)], "letters without their history: not one moment")
            check(done["next_number"] > 100000, f"the next number: {done['next_number']}")
            other.start()
            other.__exit__(None)
        with tap.case("a move under load: what was acknowledged is at its goal or in the bundle, none twice"):
            traffic.load.stop(10)
            second = Traffic(build)
            with second:
                old = second.ovvm
                old.start()
                second.offer(300, 100)
                until(lambda: len(second.at_host()) > 5 and len(second.at_sink()) > 5, WAIT, "the load to flow")
                move = old.directory / "moved"
                old.ovvm("relocate", "export", str(move), "--drain", "5")
                second.load.stop(10)
                second.node.close()
                old.stop()
                new = Instance(build, relay=("127.0.0.1", second.sink.port))
                new.ovvm("relocate", "import", copy_of(move, new))
                new.ovvm("relocate", "activate")
                new.start()
                host = Node(HOST, MAILNODE, connect=("127.0.0.1", new.link_port))
                new.wait_empty(60)
                late = [t for spool in host.received for t in tokens_of("\n".join(note_lines(spool)).encode())]
                early = second.at_host()
                missing = second.promised_letters() - set(late) - set(early)
                check(not missing, f"LOST: {sorted(missing)[:5]}")
                missing = second.promised_files() - set(second.at_sink())
                check(not missing, f"LOST: {sorted(missing)[:5]}")
                twice = [t for t in late if t in early] + [t for t in set(late) if late.count(t) > 1]
                same((twice, second.duplicates()), ([], (0, 0)), "copies")
                host.close()
                new.__exit__(None)


def killed(tap: Tap, build: Path) -> None:
    """At each step of export and import: the state before or the state after, and the way on is the same command."""
    tool = find("ovvm", build)
    known = subprocess.run([str(tool), "--failpoints"], capture_output=True, text=True).stdout.split()
    if not known:
        tap.skip("killed at each step", "this build has no fault injection (-Dfaults=true)")
        return
    unknown = {p for p in known + failpoints(build) if p.startswith("relocate.")} - set(
        EXPORT_POINTS + IMPORT_POINTS + relocate.POINTS)
    with tap.case("every failpoint of a move is killed at below"):
        same(unknown, set(), "failpoints that are not")
    for point in EXPORT_POINTS:
        for running in (False, True):
            with tap.case(f"killed at {point} ({'running' if running else 'stopped'}): one side can go on, never two"):
                _killed_export(build, point, running)
    for point in IMPORT_POINTS:
        with tap.case(f"killed at {point}: nothing, or all of it"):
            _killed_import(build, point)


def _fail_at(ovvm: Instance, point: str, *command: str) -> int:
    tool = find("ovvm", ovvm.build)
    assert tool
    return subprocess.run([str(tool), "-c", str(ovvm.conf), *command], capture_output=True, timeout=60,
                          env={**os.environ, "OVVM_FAILPOINT": point}).returncode


def _killed_export(build: Path, point: str, running: bool) -> None:
    in_daemon = running and point in ("relocate.before-exporting", "relocate.before-moved")
    with place(build) as old, empty(build) as new:
        if running:
            old.stop()
            old.start(**({"OVVM_FAILPOINT": point} if in_daemon else {}))
        pending(old, 2, 0)
        if not running:
            old.stop()
        file = old.directory / "bundle"
        if in_daemon:
            check(old.run("relocate", "export", str(file)).returncode != 0, "the export failed")
            same(old.wait_end(WAIT), -signal.SIGKILL, "the daemon was killed")
        else:
            same(_fail_at(old, point, "relocate", "export", str(file)), -signal.SIGKILL, "the command was killed")
        if old.alive():
            old.kill()
        now = state(old)[0]
        expected = {"relocate.before-exporting": "active", "relocate.moved": "moved", "relocate.published": "moved"}
        same(now, expected.get(point, "exporting"), "state of the old side")
        same(file.exists(), point == "relocate.published", "is there a bundle with its name")
        if now != "active":
            open_quietly(old)
            check(not old.ready(), "its door is closed")
            check(old.ovvm("status")["warnings"][0]["remedy"], "status says what to do")
        again = ["--again"] if now == "moved" else []
        if now == "active":
            old.start()
        old.ovvm("relocate", "export", str(file), *again)
        same(state(old)[0], "moved", "state of the old side")
        new.ovvm("relocate", "import", copy_of(file, new))
        same(sql(new, "SELECT count(*) FROM item WHERE queue <> 0"), [(2,)], "letters")


def _killed_import(build: Path, point: str) -> None:
    with place(build) as old, empty(build) as new:
        pending(old, 3, 0)
        file = old.directory / "bundle"
        old.ovvm("relocate", "export", str(file))
        there = copy_of(file, new)
        same(_fail_at(new, point, "relocate", "import", there), -signal.SIGKILL, "the command was killed")
        all_of_it = point == "relocate.imported"
        same((new.state / "ovvm.db").exists(), all_of_it, "is there a ledger")
        if not all_of_it:
            new.ovvm("relocate", "import", there)
        same(state(new)[0], "imported", "state")
        same(sql(new, "SELECT count(*) FROM item WHERE queue <> 0"), [(3,)], "letters")
        same({p.name for p in new.state.iterdir()} - {"moved-in", "ovvm.db-wal", "ovvm.db-shm"}, {"ovvm.db"}, "leftovers")


def main() -> None:
    tap, args = start(__doc__, limit=600)
    for running in (True, False):
        whole_move(tap, args.build, running)
    words(tap, args.build)
    under_load(tap, args.build)
    killed(tap, args.build)
    tap.finish()


if __name__ == "__main__":
    main()
