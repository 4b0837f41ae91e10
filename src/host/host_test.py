#!/usr/bin/env python3
"""Two trial nodes talk to each other. What is lost when this fails: files between nodes, or the word that they were lost.

    host_test.py PROGRAM DATA      DATA: the folder tests/

Every node runs on loopback with a port of the system's choice, in a folder of its own, with a limit on its life.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

PROGRAM, TESTS = sys.argv[1], Path(sys.argv[2])
sys.path.insert(0, str(TESTS))

from peer import ebcdic  # noqa: E402
from peer.nje import JES2, RSCS, UNIXNJE, Node as Peer, drop  # noqa: E402

LIMIT = 60.0
NOTE = "Subject: numbers\n\nDear Bob,\nthey are here: äöü [1] {2}\n"


class Failed(AssertionError):
    pass


def same(got, expected, what):
    if got != expected:
        raise Failed(f"{what}: got {got!r}, expected {expected!r}")


class Node:
    """One `ovvm host`, its output in files that can be read while it runs."""

    def __init__(self, folder: Path, *arguments: str, text: str = "", limit: bool = True):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.out, self.err = folder / "out", folder / "err"
        if limit and "--timeout" not in arguments:
            arguments += ("--timeout", str(int(LIMIT)))
        source = folder / "in"
        source.write_text(text)
        with open(self.out, "wb") as out, open(self.err, "wb") as err, open(source, "rb") as stdin:
            self.process = subprocess.Popen([PROGRAM, "--folder", str(folder), *arguments], stdin=stdin, stdout=out,
                                            stderr=err)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def said(self) -> str:
        return self.out.read_text()

    def find(self, pattern: str) -> re.Match:
        """Waits until the node has said something."""
        deadline = time.monotonic() + LIMIT
        while True:
            found = re.search(pattern, self.said(), re.M)
            if found:
                return found
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise Failed(f"no {pattern!r} in {self.said()!r}, stderr {self.err.read_text()!r}")
            time.sleep(0.01)  # between two looks

    def port(self) -> str:
        return self.find(r"^Listening on .*:(\d+)$")[1]

    def ends(self, status: int) -> str:
        try:
            got = self.process.wait(LIMIT + 30)
        except subprocess.TimeoutExpired:
            raise Failed(f"it does not end; it said {self.said()!r}") from None
        if got != status:
            raise Failed(f"exit status {got}, not {status}; it said {self.said()!r}, stderr {self.err.read_text()!r}")
        return self.said()

    def spool(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted(self.folder.glob("*.spool"))]


def names(own: str, peer: str) -> tuple[str, ...]:
    return ("--node", own, "--peer", peer)


def listening(folder: Path, *arguments: str, own="NODEA", peer="NODEB", **more) -> Node:
    return Node(folder, *names(own, peer), "--listen", "127.0.0.1:0", *arguments, **more)


def dialling(folder: Path, port: str, *arguments: str, own="NODEB", peer="NODEA", **more) -> Node:
    return Node(folder, *names(own, peer), "--connect", f"127.0.0.1:{port}", *arguments, **more)


def records(file: bytes) -> list[tuple[int, bytes]]:
    """SRCB and bytes of a spool file, behind the text at its beginning."""
    at = file.index(b"END:\n") + 5 if file[:1].isalpha() else 0
    found = []
    while at < len(file):
        size = int.from_bytes(file[at:at + 2], "big")
        found.append((file[at + 2], file[at + 3:at + 2 + size]))
        at += 2 + size
    same(at, len(file), "end of the spool file")
    return found


# --- the cases ---


def a_note_arrives(folder: Path):
    with listening(folder / "a", "--expect", "1") as a:
        with dialling(folder / "b", a.port(), "--send-note", "alice", "bob", "-", "--once", text=NOTE) as b:
            sent, received = b.ends(0), a.ends(0)
    if "Sent file 0001 from NODEB(ALICE) to NODEA(BOB), ALICE NOTE\n" not in sent:
        raise Failed(f"the sender says {sent!r}")
    shown = re.search(r"^Received from NODEB\(ALICE\) for NODEA\(BOB\): file 0001, class A, ALICE NOTE, punch, "
                      r"7 records, (\w{26})\.spool\n"
                      r"  Date: .* GMT\n  From: ALICE    at NODEB\n  To:   BOB at NODEA\n  Subject: numbers\n\n"
                      r"  Dear Bob,\n  they are here: äöü \[1\] \{2\}\n", received, re.M)
    if not shown:
        raise Failed(f"the receiver says {received!r}")
    same([s for s, _ in records(a.spool()[0])], [0xC0, 0xE0, 0xE0] + [0x80] * 7 + [0xD0], "records on disk")


def both_ways_at_once(folder: Path):
    (folder / "b.txt").write_text("one\ntwo\n")
    with listening(folder / "a", "--send-file", "bob", "alice", "-", "reply.exec", "--send-message", "bob", "alice",
                   "Hello Alice", "--expect", "2", text="say 'no'\n") as a:
        with dialling(folder / "b", a.port(), "--send-note", "alice", "bob", "-", "--send-file", "alice", "bob",
                      str(folder / "b.txt"), "my.text", "--expect", "1", text=NOTE) as b:
            same(sorted(re.findall(r"file \d{4}, class A, (\w+ \w+)", a.ends(0))), ["ALICE NOTE", "MY TEXT"], "to A")
            said = b.ends(0)
    if "file 0001, class A, REPLY EXEC, punch, 1 records" not in said or "  say 'no'\n" not in said:
        raise Failed(f"B says {said!r}")
    if "Message from NODEA(BOB) for ALICE: Hello Alice\n" not in said:
        raise Failed(f"B says {said!r}")


def a_file_of_another_system_is_replayed(folder: Path):
    """Byte for byte; readdressed, only its data set header differs."""
    for kind in ("rscs", "unixnje"):
        for n in range(3):
            original = TESTS / "fuzz" / "nje_spoolfile" / f"capture{n}"
            here = folder / f"{kind}{n}"
            here.mkdir()
            with listening(here / "a", "--expect", "2", "--kind", kind) as a:
                with dialling(here / "b", a.port(), "--kind", kind, "--replay", str(original), "--replay",
                              str(original), "--to", "carol", "--once") as b:
                    b.ends(0)
                    said = a.ends(0)
            wire = records(original.read_bytes())
            exact, other = (records(file) for file in a.spool())
            same(exact, wire, f"{original.name} as received")
            same([r for r in other if r[0] != 0xE0], [r for r in wire if r[0] != 0xE0], "all but the data set header")
            if "for NODEA(CAROL)" not in said:
                raise Failed(f"A says {said!r}")


def netdata_is_sent_and_shown(folder: Path):
    (folder / "b.txt").write_text("x" * 100 + "\n")
    with listening(folder / "a", "--expect", "2") as a:
        with dialling(folder / "b", a.port(), "--netdata", "--send-note", "alice", "bob", "-", "--send-file", "alice",
                      "bob", str(folder / "b.txt"), "wide.text", "--once", text=NOTE) as b:
            b.ends(0)
            said = a.ends(0)
    for words in ("- NETDATA from NODEB(ALICE)\n- note, 7 records\n", "  Subject: numbers\n",
                  "  they are here: äöü [1] {2}\n", "- A.WIDE.TEXT, 1 records\n  " + "x" * 100 + "\n"):
        if words not in said:
            raise Failed(f"no {words!r} in {said!r}")


def text_of(spool) -> list[str]:
    return [ebcdic.decode(record).rstrip() for record in spool.records]


def other_kinds_of_nodes(folder: Path):
    """An independent node that behaves as each kind does: files and messages both ways."""
    for kind, quirks in (("rscs", RSCS), ("jes2", JES2), ("unixnje", UNIXNJE)):
        with Peer("NODEA", "NODEB", listen=0, quirks=quirks) as peer:
            sending = peer.send_file(["Hello Alice", "", "bye"], origin=("NODEA", "BOB"), dest=("NODEB", "ALICE"),
                                     fn="BOB", ft="NOTE")
            with dialling(folder / kind, str(peer.port), "--kind", kind, "--send-note", "alice", "bob", "-",
                          "--send-message", "alice", "bob", "Hello Bob", text=NOTE) as node:
                received = peer.wait_for(1, LIMIT)[0]
                message = peer.wait_messages(1, LIMIT)[0]
                same(sending.wait(LIMIT), True, f"{kind}: our acknowledgement")
                node.find("^Sent file 0001")
                node.process.send_signal(signal.SIGTERM)
                said = node.ends(0)
        same(peer.violations, [], f"{kind}: what the other node objects to")
        same(text_of(received)[1:], ["From: ALICE    at NODEB", "To:   BOB at NODEA", "Subject: numbers", "",
                                     "Dear Bob,", "they are here: äöü [1] {2}"], f"{kind}: the note")
        same(received.job.origin, ("NODEB", "ALICE"), f"{kind}: origin")
        same(received.datasets[0].dest, ("NODEA", "BOB"), f"{kind}: destination")
        same(message.text, "Hello Bob", f"{kind}: the message")
        if "file 0001, class A, BOB NOTE, punch, 3 records" not in said or "\n  Hello Alice\n\n  bye\n" not in said:
            raise Failed(f"{kind}: {said!r}")


def a_lost_acknowledgement_costs_no_file(folder: Path):
    """The connection breaks just before the acknowledgement: the file is sent again, and only then counts as sent."""
    with Peer("NODEA", "NODEB", listen=0) as peer:
        peer.at("before:C0", drop)
        with dialling(folder / "b", str(peer.port), "--send-note", "alice", "bob", "-", "--once", text=NOTE) as node:
            peer.wait_note("acknowledged", LIMIT)
            said = node.ends(0)
    same(said.count("Sent file 0001"), 1, "times it says that the file was sent")
    same({tuple(text_of(spool)) for spool in peer.received}, {tuple(text_of(peer.received[0]))}, "copies")


def files_of_real_hosts_are_replayed(folder: Path):
    corpus = os.environ.get("OVVM_CORPUS")
    if corpus is None:
        return "OVVM_CORPUS is not set"
    files = [path for path in sorted((Path(corpus) / "spool").glob("spool.*")) if path.name != "spool.sysinjob"]
    arguments = [word for path in files for word in ("--replay", str(path))]
    with listening(folder / "a", "--expect", str(len(files))) as a:
        with dialling(folder / "b", a.port(), *arguments, "--once") as b:
            b.ends(0)
            a.ends(0)
    same([records(file) for file in a.spool()], [records(path.read_bytes()) for path in files], "files as received")
    return None


def many_files_and_a_long_one(folder: Path):
    (folder / "long.txt").write_text("".join(f"line {n} of many, some text behind it\n" for n in range(20000)))
    (folder / "short.txt").write_text("short\n")
    arguments = ["--send-file", "alice", "bob", str(folder / "long.txt"), "long.text"]
    for n in range(30):
        arguments += ["--send-file", "alice", "bob", str(folder / "short.txt"), f"s{n}.text"]
    with listening(folder / "a", "--expect", "31", "--quiet") as a:
        with dialling(folder / "b", a.port(), *arguments, "--once", "--quiet") as b:
            b.ends(0)
            said = a.ends(0)
    same(len(re.findall("^Received", said, re.M)), 31, "files received")
    same(max(len(records(file)) for file in a.spool()), 20000 + 4, "records of the long one")


def a_file_waits_for_its_neighbour(folder: Path):
    """Nobody is there; then a neighbour that dies; then one that stays. The file is not lost."""
    with listening(folder / "a1") as a:
        port = a.port()
        a.process.kill()
        a.process.wait()
        with Node(folder / "b", *names("NODEB", "NODEA"), "--connect", f"127.0.0.1:{port}", "--send-note", "alice",
                  "bob", "-", "--once", text=NOTE) as b:
            with Node(folder / "a2", *names("NODEA", "NODEB"), "--listen", f"127.0.0.1:{port}", "--expect", "1") as a2:
                a2.ends(0)
                b.ends(0)
    same(len(a2.spool()), 1, "files received")


def what_was_not_sent_is_said(folder: Path):
    with listening(folder / "a") as a:
        port = a.port()
        a.process.send_signal(signal.SIGTERM)
        a.ends(1)  # nothing was received
    with dialling(folder / "b", port, "--send-note", "alice", "bob", "-", "--once", "--timeout", "1", text=NOTE) as b:
        b.ends(1)
    with dialling(folder / "c", port, "--expect", "1", "--timeout", "1") as c:
        c.ends(1)


def a_stranger_is_turned_away(folder: Path):
    with listening(folder / "a", "--expect", "1") as a:
        with dialling(folder / "x", a.port(), "--send-note", "eve", "bob", "-", "--once", "--timeout", "2", own="NODEX",
                      text=NOTE) as x:
            x.ends(1)
        with dialling(folder / "b", a.port(), "--send-note", "alice", "bob", "-", "--once", text=NOTE) as b:
            b.ends(0)
            if "NODEB(ALICE)" not in a.ends(0):
                raise Failed(f"A says {a.said()!r}")
    same(len(a.spool()), 1, "files received")


def mistakes_end_with_status_2(folder: Path):
    for arguments, words in (
        ((), "--node and --peer are needed"),
        (("--no-such",), 'there is no option "--no-such"'),
        ((*names("A", "B"), "--connect", "127.0.0.1:1", "--replay", str(folder / "none")), "none: it cannot be opened"),
        ((*names("A", "B"), "--connect", "127.0.0.1:1", "--replay", __file__), "host_test.py: "),
        ((*names("A", "B"), "--listen", "127.0.0.1:0", "--allow", "nowhere"), "nowhere"),
        ((*names("A", "B"), "--listen", "127.0.0.1:0", "--folder", "/no/such/folder"), "/no/such/folder: No such"),
    ):
        with Node(folder / "a", *arguments, limit=False) as a:
            a.ends(2)
            if words not in a.err.read_text():
                raise Failed(f"no {words!r} in {a.err.read_text()!r}")
    with Node(folder / "a", "--help", limit=False) as a:
        if "usage: ovvm host" not in a.ends(0):
            raise Failed("no usage")


CASES = [
    a_note_arrives, both_ways_at_once, a_file_of_another_system_is_replayed, files_of_real_hosts_are_replayed,
    netdata_is_sent_and_shown, other_kinds_of_nodes, a_lost_acknowledgement_costs_no_file, many_files_and_a_long_one,
    a_file_waits_for_its_neighbour, what_was_not_sent_is_said, a_stranger_is_turned_away,
    mistakes_end_with_status_2
]


def main():
    print(f"1..{len(CASES)}", flush=True)
    for number, case in enumerate(CASES, 1):
        title = case.__name__.replace("_", " ")
        with tempfile.TemporaryDirectory(prefix="ovvm-host-") as folder:
            try:
                skipped = case(Path(folder))
            except Exception:  # noqa: BLE001 - each case is told, the others still run
                print(f"not ok {number} - {title}")
                print("".join("# " + line + "\n" for line in traceback.format_exc().splitlines()), end="", flush=True)
            else:
                print(f"ok {number} - {title}" + (f" # SKIP {skipped}" if skipped else ""), flush=True)


main()
