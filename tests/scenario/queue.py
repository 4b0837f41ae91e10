#!/usr/bin/env python3
"""What an operator may do to a letter that waits or is in quarantine: each order does what it says, once, and is on record.

Nothing an operator does loses a letter without his word, leaves its sender untold, or upsets the letters beside it.
"""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import HOST, MAILNODE, Instance, check, same, start, until  # noqa: E402
from peer.ebcdic import card  # noqa: E402
from peer.mail import Client, Sink  # noqa: E402
from peer.nje import Node  # noqa: E402
from traffic import OUTSIDE_ADDRESS, letter, note_lines, send_note  # noqa: E402

WAIT = 20.0
PAGES = 201  # a hundred on each
NOBODY = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def items(ovvm: Instance, state: str) -> list[dict[str, Any]]:
    return ovvm.ovvm("queue", "list", "--state", state)["items"]


def depth(ovvm: Instance) -> dict[str, tuple[int, int, int]]:
    return {q["name"]: (q["ready"], q["held"], q["quarantine"]) for q in ovvm.ovvm("status")["queues"]}


def refused(ovvm: Instance, status: int, words: str, *command: str) -> None:
    done = ovvm.run(*command)
    same(done.returncode, status, f"exit status of {' '.join(command)} ({done.stderr.strip()})")
    check(words in done.stderr, f"{' '.join(command)} says {words!r}: {done.stderr.strip()}")


def quarantined(ovvm: Instance, host: Node, text: str, origin: str = "") -> str:
    """A file without a sender: nobody can be told, so it is kept."""
    before = {item["id"] for item in items(ovvm, "quarantine")}
    check(host.send_file([card(text)], origin=(HOST, origin), dest=OUTSIDE_ADDRESS, fn="LOST", ft="NOTE").wait(WAIT), "C0")
    return until(lambda: [i["id"] for i in items(ovvm, "quarantine") if i["id"] not in before], WAIT, "quarantine")[0]


def deferred(ovvm: Instance, host: Node, sink: Sink, token: str) -> dict[str, Any]:
    """A letter that the relay did not take just now."""
    sink.on_rcpt = lambda recipient: "450 4.2.0 not now"
    check(send_note(host, token).wait(WAIT), "C0")
    tried = until(lambda: [i for i in items(ovvm, "ready") if i["attempts"] > 0], WAIT, "a try that failed")[0]
    sink.on_rcpt = lambda recipient: None
    return tried


def waiting_letter(ovvm: Instance, token: str, size: int = 1) -> str:
    """A letter for a host whose link is down."""
    with Client(ovvm.smtp) as client:
        check(client.deliver(letter(token, "\n".join(["text of a letter that waits for its link"] * size))), "250")
    found = until(lambda: [i for i in ovvm.ovvm("queue", "list", "--queue", "host_out")["items"] if i["state"] == "ready"],
                  WAIT, "the file in host_out")
    return found[-1]["id"]


def audit(ovvm: Instance) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(f"file:{ovvm.state}/ovvm.db?mode=ro", uri=True)) as db:
        return [(what, bytes(detail).decode()) for what, detail in db.execute("SELECT what, detail FROM audit ORDER BY key")]


def main() -> None:
    tap, args = start(__doc__, limit=300)
    with Sink() as sink, Instance(
            args.build, relay=("127.0.0.1", sink.port), conf={"limits": {"retry": "1h", "retry-max": "1h"}}) as ovvm:
        with tap.case("held: a letter stays where it is until it is released, and then arrives"):
            item = waiting_letter(ovvm, "M0000001")
            same(ovvm.ovvm("queue", "hold", item)["id"], item, "the id")
            same(depth(ovvm)["host_out"], (0, 1, 0), "ready, held, quarantine")
            refused(ovvm, 1, "already", "queue", "hold", item)
            refused(ovvm, 3, f"ovvm queue release {item}", "queue", "requeue", item)
            with Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
                check(host.wait_up(WAIT), "the link is up")
                with Client(ovvm.smtp) as client:
                    check(client.deliver(letter("M0000002")), "250")
                got = host.wait_for(1, WAIT)
                check("TOKEN-M0000002" in "\n".join(note_lines(got[0])), "the next letter passes the held one")
                ovvm.ovvm("queue", "release", item)
                got = host.wait_for(2, WAIT)
                check("TOKEN-M0000001" in "\n".join(note_lines(got[1])), "the released letter arrives")
                ovvm.wait_empty(WAIT)  # with the link up: the host has the file a moment before its C0 is out
            refused(ovvm, 1, f"ovvm trace {item}", "queue", "release", item)
        with tap.case("deferred: requeue tries it now, as if never tried; nothing else would for an hour"):
            with Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
                check(host.wait_up(WAIT), "the link is up")
                tried = deferred(ovvm, host, sink, "H0000003")
                ovvm.ovvm("queue", "requeue", tried["id"])
                check(b"TOKEN-H0000003" in sink.wait_for(1, WAIT)[0].content, "it arrives")
                ovvm.wait_empty(WAIT)
        with tap.case("returned: its sender is told in his own world, and then it is gone"):
            with Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
                check(host.wait_up(WAIT), "the link is up")
                tried = deferred(ovvm, host, sink, "H0000006")
                ovvm.ovvm("queue", "return", tried["id"])
                text = "\n".join(note_lines(host.wait_for(1, WAIT)[0]))
                check("alice@outside.example" in text.lower() and "returned by the operator" in text, f"the report: {text}")
                until(lambda: ovvm.waiting() == 0, WAIT, "the queues to be empty")
            same(len(sink.letters), 1, "letters at the sink")
            steps = [s["step"] for s in ovvm.ovvm("trace", tried["letter"])["steps"]]
            check("returned" in steps, f"in its history: {steps}")
        with tap.case("quarantine: return is refused where nobody can be told, and says what can be done"):
            with Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
                check(host.wait_up(WAIT), "the link is up")
                lost = quarantined(ovvm, host, "TOKEN-H0000004")
                same(depth(ovvm)["host_in"], (0, 0, 1), "in quarantine")
                refused(ovvm, 3, f"ovvm queue delete {lost} --yes", "queue", "return", lost)
                refused(ovvm, 3, "quarantine", "queue", "hold", lost)
                refused(ovvm, 3, "requeue", "queue", "release", lost)
                same([i["id"] for i in items(ovvm, "quarantine")], [lost], "it is still there")
        with tap.case("quarantine: requeued, it is looked at again, and is back in quarantine with its reason"):
            ovvm.ovvm("queue", "requeue", lost)
            until(lambda: depth(ovvm)["host_in"] == (0, 0, 1), WAIT, "quarantine again")
            check(items(ovvm, "quarantine")[0]["reason"], "its reason")
            steps = [s["step"] for s in ovvm.ovvm("trace", lost)["steps"]]
            same((steps.count("quarantine"), steps.count("operator")), (2, 1), f"history {steps}")
        with tap.case("exported, deleted, imported: the same letter is back, held; a changed or cut file is refused"):
            file = ovvm.directory / "letter"
            ovvm.ovvm("queue", "export", lost, str(file))
            same(file.stat().st_mode & 0o777, 0o600, "only its owner reads it")
            refused(ovvm, 3, "cannot be made", "queue", "export", lost, str(file))
            refused(ovvm, 3, f"ovvm queue show {lost}", "queue", "import", str(file))
            refused(ovvm, 3, "--yes", "queue", "delete", lost)
            same(len(items(ovvm, "quarantine")), 1, "not deleted without the word")
            ovvm.ovvm("queue", "delete", lost, "--yes")
            same(items(ovvm, "quarantine"), [], "deleted")
            whole = file.read_bytes()
            for name, bad in (("cut", whole[:-1]), ("flipped", whole[:-1] + bytes([whole[-1] ^ 1])), ("longer", whole + b"x"),
                              ("other", b"X" + whole), ("queue", whole.replace(b'"host_in"', b'"nowhere"'))):
                (ovvm.directory / name).write_bytes(bad)
                done = ovvm.run("queue", "import", str(ovvm.directory / name))
                check(done.returncode in (2, 3) and done.stderr, f"{name}: {done.returncode} {done.stderr}")
            same(depth(ovvm)["host_in"], (0, 0, 0), "nothing of those came in")
            same(ovvm.ovvm("queue", "import", str(file))["id"], lost, "the same id")
            same(depth(ovvm)["host_in"], (0, 1, 0), "it is held")
            ovvm.ovvm("queue", "delete", lost, "--yes")
        with tap.case("a large letter: exported, deleted, imported, released; it arrives whole, once"):
            item = waiting_letter(ovvm, "M0000005", 60000)
            file = ovvm.directory / "large"
            ovvm.ovvm("queue", "export", item, str(file))
            check(file.stat().st_size > 2 << 20, "it takes several chunks")
            ovvm.ovvm("queue", "delete", item, "--yes")
            ovvm.ovvm("queue", "import", str(file))
            ovvm.ovvm("queue", "release", item)
            with Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
                lines = note_lines(host.wait_for(1, 60)[0])
                check(sum("waits for its link" in line for line in lines) == 60000, f"{len(lines)} lines")
                ovvm.wait_empty(WAIT)
                same(len(host.received), 1, "files at the host")
        with tap.case("unknown ids and words are told apart"):
            refused(ovvm, 1, "no such letter", "queue", "requeue", NOBODY)
            refused(ovvm, 2, "no id", "queue", "requeue", "XYZ")
            refused(ovvm, 2, "no option of this verb", "queue", "hold", NOBODY, "--yes")
            refused(ovvm, 1, "No such file", "queue", "import", str(ovvm.directory / "absent"))
        with tap.case("every order is in the audit, and the counters are right after a restart too"):
            orders = [what for what, _ in audit(ovvm)]
            for what in ("hold", "release", "requeue", "return", "delete", "import"):
                check(f"queue {what}" in orders, f"queue {what} in {orders}")
            before = depth(ovvm)
            ovvm.stop()
            ovvm.start()
            same(depth(ovvm), before, "depths")
            same(ovvm.waiting(), 0, "letters that wait")
        with tap.case("stopped: an export still works, orders say that the daemon is not there"):
            ovvm.stop()
            refused(ovvm, 4, "is ovvmd running", "queue", "hold", NOBODY)
            refused(ovvm, 1, "no such letter", "queue", "export", NOBODY, str(ovvm.directory / "none"))
    with Instance(args.build) as ovvm, tap.case("more letters than one page: all are listed, once, oldest first; of very many "
                                                "recipients some are shown, and how many there are"):
        with Client(ovvm.smtp) as client:
            for number in range(PAGES):
                check(client.deliver(letter(f"M{number:07}")), "250")
        until(lambda: depth(ovvm)["host_out"][0] == PAGES, WAIT, "all in host_out")
        listed = ovvm.ovvm("queue", "list")["items"]
        same(len({one["id"] for one in listed}), PAGES, "letters listed")
        same([one["arrived"] for one in listed], sorted(one["arrived"] for one in listed), "their order")
        text = ovvm.run("queue", "list", "--queue", "host_out").stdout
        same(sum(line.count(" host_out ") for line in text.splitlines()), PAGES, "lines")
        same(ovvm.ovvm("queue", "list", "--state", "held")["items"], [], "none of another state")
        ovvm.stop()
        with closing(sqlite3.connect(ovvm.state / "ovvm.db")) as db, db:
            key = db.execute("SELECT max(key) FROM item WHERE queue = 4").fetchone()[0]
            db.executemany("INSERT INTO recipient VALUES (?, ?, 'MAPLEC1(U)', 0, NULL)", ((key, n) for n in range(1, 5000)))
        ovvm.start()
        last = ovvm.ovvm("queue", "list")["items"][-1]
        same((len(last["recipients"]), last["recipient_count"]), (20, 5000), "recipients shown, and their number")
        check("and 4980 more" in ovvm.run("queue", "list").stdout, "people are told")
    tap.finish()


if __name__ == "__main__":
    main()
