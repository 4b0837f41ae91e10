#!/usr/bin/env python3
"""Are the tests' own peers right? Against captures and files of real hosts, and against each other.

If this fails, no scenario that uses the peers says anything.
"""

import hashlib
import json
import os
import random
import re
import socket
import sys
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import Skip, Tap, check, same, start  # noqa: E402
from peer import capture, ebcdic, headers, mail, netdata, nje, wire  # noqa: E402
from peer.nje import Node  # noqa: E402

DATA = Path(__file__).resolve().parent.parent / "data" / "nje"
ORIGIN, DEST = ("NODEA", "ALICE"), ("NODEB", "BOB")


def pair(first: dict | None = None, second: dict | None = None) -> tuple[Node, Node]:
    a = Node("NODEA", "NODEB", listen=0, quirks=first or {})
    b = Node("NODEB", "NODEA", connect=("127.0.0.1", a.port), quirks=second or {})
    check(a.wait_up(10) and b.wait_up(10), "two nodes sign on")
    return a, b


# --- the wire ---


def scb(tap: Tap) -> None:
    with tap.case("SCB: what is folded unfolds to the same, also behind other bytes"):
        for _ in range(500):
            data = b"".join(random.choice((b"\x40", b"A", b"\x00", bytes([random.randrange(256)]))) * random.randrange(90)
                            for _ in range(random.randrange(6)))
            for pack in (wire.scb_compress, wire.scb_literal):
                packed = b"xx" + pack(data)
                same(wire.scb_expand(packed + b"\x99", 2), (data, len(packed), False), "unfolded")
    with tap.case("SCB: bytes worked out by hand from the table"):
        same(wire.scb_compress(b"\x40" * 33 + b"ABC" + b"\x00" * 4).hex(), "9f82c3414243a40000", "folded")
        same(wire.scb_literal(b"A" * 64).hex(), "ff" + "41" * 63 + "c14100", "literals")


def expected_records(path: Path) -> list[tuple[int, int, str]]:
    """(RCB, SRCB, unfolded hex) of every NJE record in an annotated dump."""
    found: list[list] = []
    for line in path.read_text().splitlines():
        record = re.match(r"^      RCB=(..)  ?.*SRCB=(..)", line) or re.match(r"^      RCB=(..) .*SRCB=(..)", line)
        if record and record[1] != "00":
            found.append([int(record[1], 16), int(record[2], 16), ""])
        row = re.match(r"^        [0-9a-f]{4}  ((?:[0-9a-f]{2} )+)", line)
        if row:
            found[-1][2] += row[1].replace(" ", "")
    return [tuple(f) for f in found]  # type: ignore[misc]


def captures(tap: Tap) -> None:
    for path in sorted(DATA.glob("*.pcap")):
        with tap.case(f"{path.stem}: the capture decodes to what its annotated dump says"):
            decoded = [(r.rcb, r.srcb, r.data.hex()) for s in capture.sessions(path) for e in s.events if e.buffer
                       for r in e.buffer.records]
            same(decoded, expected_records(path.with_suffix(".annotated.txt")), "records")
    with tap.case("nodea-nodeb: files, headers and note as the two nodes meant them"):
        session = capture.sessions(DATA / "nodea-nodeb.pcap")[0]
        same(session.names, ("NODEB", "NODEA"), "who dialled whom")
        files = captured_files(session)
        same([(f.job.origin, f.dataset.dest, f.dataset.fn, f.dataset.ft, f.dataset.medium, len(f.records)) for f in files],
             [(ORIGIN, DEST, "TEST", "NOTE", 0x40, 7), (ORIGIN, DEST, "TEST", "PUNCH", 0x40, 9),
              (DEST, ORIGIN, "TEST", "LISTING", 0x80, 9)], "files")
        note = netdata.decode(files[0].cards())
        check(note.complete, "INMR06 seen")
        same(note.control("INMR02").values("INMDSNAM"), [ebcdic.encode(v) for v in ("A", "TEST", "NOTE")], "INMDSNAM")
        same(note.lines()[:2], ["Date:     24 November 2026, 13:45:00 GMT", "From:     ALICE at NODEA"], "note")
        same(files[2].lines()[-1], "bye", "last line of the listing")
        same(set(files[2].carriage), {9}, "carriage control")


def captured_files(session: capture.Session) -> list[headers.SpoolFile]:
    files, joiner = [], headers.Joiner()
    current = headers.SpoolFile()
    for event in session.events:
        for record in event.buffer.records if event.buffer else []:
            if wire.is_stream(record.rcb):
                if record.empty:
                    files.append(current)
                    current = headers.SpoolFile()
                else:
                    current.add(record.srcb, record.data, joiner)
    return files


def playing(tap: Tap) -> None:
    for path in sorted(DATA.glob("*.pcap")):
        for session in capture.sessions(path):
            for side, other in (session.names, session.names[::-1]):
                with tap.case(f"{path.stem}: {side}'s side played to a live {other}"):
                    if session.side(side) == 0:
                        with Node(other, side, listen=0) as node:
                            played = capture.play(session, side, connect=("127.0.0.1", node.port), limit=10)
                            node.wait_down(10)
                    else:
                        with socket.create_server(("127.0.0.1", 0)) as listener, \
                                Node(other, side, connect=listener.getsockname()[:2], retry=60) as node:
                            played = capture.play(session, side, listener=listener, limit=10)
                            node.wait_down(10)
                    same(played.differences, [], "differences")
                    same(node.violations, [], "violations")
                    sent = [e for e in session.of(session.side(side)) for r in (e.buffer.records if e.buffer else [])
                            if r.rcb == wire.RCB_NMR]
                    check(len(node.messages) >= len(sent), "every message arrived")


# --- two nodes ---


def nodes(tap: Tap) -> None:
    kinds = {"plain": ({}, {}), "UnixNJE and JES2": (nje.UNIXNJE, nje.JES2),
             "RSCS, dialler secondary": (nje.RSCS, dict(secondary=True)),
             "three streams into a small buffer": (dict(streams=3), dict(buffer=300))}
    for what, (first, second) in kinds.items():
        with tap.case(f"two nodes ({what}): files and messages arrive as sent, acknowledged, nothing else"):
            a, b = pair(first, second)
            with a, b:
                decks = [[random.randbytes(80) for _ in range(random.randrange(1, 60))] for _ in range(8)]
                sent = [a.send_file(d, origin=ORIGIN, dest=DEST, fn=f"F{n}", ft="DATA") for n, d in enumerate(decks)]
                back = b.send_file(["one card"], origin=DEST, dest=ORIGIN, cls="M", form="QUIET")
                check(all(s.wait(20) for s in sent) and back.wait(20), "all acknowledged")
                got = {f.dataset.fn: f for f in b.wait_for(8, 10)}
                for number, deck in enumerate(decks):
                    same(got[f"F{number}"].records, deck, f"cards of file {number}")
                same((a.received[0].dataset.cls, a.received[0].dataset.form), ("M", "QUIET"), "class and form")
                check(a.send_message("are you there", origin=ORIGIN, to=DEST), "message sent")
                message = b.wait_messages(1, 10)[0]
                same((message.origin, message.to, message.text), (ORIGIN, DEST, "are you there"), "message")
                same(a.violations + b.violations, [], "violations")
    with tap.case("print with carriage control arrives as print"):
        a, b = pair()
        with a, b:
            check(a.send_file(["line one", "line two"], origin=ORIGIN, dest=DEST, srcb=0x90, carriage=b"\x09",
                              medium=headers.PRINT, lrecl=132).wait(10), "acknowledged")
            same((b.received[0].lines(), b.received[0].carriage), (["line one", "line two"], [9, 9]), "lines")


def misbehaviour(tap: Tap) -> None:
    a, b = pair(dict(ack_limit=20.0), {})
    with a, b:
        for moment, copies in (("recv:90", 1), ("recv:NJH", 1), ("recv:DSH", 1), ("recv:data:2", 1), ("recv:EOF", 1),
                               ("before:C0", 2), ("after:C0", None)):
            for action in (nje.drop, nje.reset):
                with tap.case(f"receiver: {action.__name__} at {moment}: sent again, nothing lost"):
                    before = len(b.received)
                    b.at(moment, action)
                    sent = a.send_file([f"card {n}" for n in range(5)], origin=ORIGIN, dest=DEST)
                    check(sent.wait(20), "acknowledged in the end")
                    got = len(b.received) - before
                    check(got == copies or (copies is None and got in (1, 2)), f"{got} copies")
                    same(len({(f.job.job_id, f.job.entry) for f in b.received[before:]}), 1, "same job id and time")
        for action in (nje.wrong_bcb, nje.garbage_rcb, nje.garbage_scb, nje.cut_literal, nje.short_ttb, nje.long_ttr,
                       nje.cut_block, nje.drop):
            with tap.case(f"sender: {action.__name__} in mid-file: the link ends and the file comes again"):
                before = len(b.received)
                a.at("send:data:2", action)
                check(a.send_file(["x"] * 4, origin=ORIGIN, dest=DEST).wait(20), "acknowledged in the end")
                same(len(b.received) - before, 1, "copies")
    with tap.case("permission withheld, then granted; B0; wait-a-bit"):
        a, b = pair(dict(ack_limit=20.0), dict(withhold=True))
        with a, b:
            sent = a.send_file(["x"], origin=ORIGIN, dest=DEST)
            check(b.wait_note("withheld", 10), "request seen")
            check(not sent.wait(0.1), "nothing sent without permission")
            same(b.grant(), 1, "granted")
            check(sent.wait(10), "acknowledged")
            b.quirks.refuse = True
            refused = a.send_file(["x"], origin=ORIGIN, dest=DEST)
            check(not refused.wait(10) and refused.state == "refused", "refused")
            b.quirks.refuse = False
            b.wait_a_bit(True)
            held = a.send_file(["x"], origin=ORIGIN, dest=DEST)
            check(a.wait_note("hook", 0.2) is False and not held.done.is_set(), "held")
            b.wait_a_bit(False)
            check(held.wait(10), "released")


# --- files of real hosts ---


def corpus(folder: str) -> Path:
    root = os.environ.get("OVVM_CORPUS")
    if not root:
        raise Skip("OVVM_CORPUS is not set")
    return Path(root) / folder


def plain_units(record: netdata.ControlRecord) -> list:
    """Text units as the golden files write them: names as text, the rest as hex."""
    return [[key, [ebcdic.decode(v) if key in netdata.TEXT else v.hex() for v in values]]
            for key, values in record.units]


def same_netdata(stream: bytes, golden: dict, name: str) -> None:
    found = netdata.decode(stream)
    expected = [[c["rec"], c["file"], c["tu"]] if isinstance(c, dict) else c for c in golden["control"]]
    same([[c.kind, c.file, plain_units(c)] for c in found.controls], expected, f"{name}: control records")
    same(found.complete, golden["trailer"], f"{name}: INMR06")
    for records, file in zip(found.files, golden["files"], strict=True):
        same((len(records), sum(map(len, records))), (file["records"], file["bytes"]), f"{name}: size")
        same(hashlib.sha256(b"".join(records)).hexdigest(), file["sha256_concat"], f"{name}: content")


def real_files(tap: Tap) -> None:
    with tap.case("spool files of real hosts: headers, cards and NETDATA as known"):
        folder = corpus("spool")
        for golden in json.loads((folder / "golden.json").read_text()):
            lines, spool = headers.spool_read((folder / golden["file"]).read_bytes())
            name = golden["file"]
            same([line.rstrip() for line in lines], [line.rstrip() for line in golden["header"]], f"{name}: text header")
            same([f"{srcb:02x}" for srcb, _ in spool.wire[:6]], golden["srcb"], f"{name}: SRCB")
            cards = b"".join(r[1:].ljust(r[0], b"\x40") for s, r in spool.wire if s & 0x40 == 0)
            same(hashlib.sha256(cards).hexdigest(), golden["cards_sha256"], f"{name}: cards")
            facts = dict(line.split(": ", 1) for line in lines if ": " in line)
            if "FRM" in facts:
                user, node = facts["FRM"].split("@")
                same(spool.job.origin, (node.strip(), user.strip()), f"{name}: origin")
            if "netdata" in golden:
                same_netdata(spool.cards(), golden["netdata"], name)
    with tap.case("TRANSMIT files of real hosts: control records and data as two other decoders found them"):
        folder = corpus("netdata")
        for golden in json.loads((folder / "golden.json").read_text())["files"]:
            same_netdata((folder / golden["file"]).read_bytes(), golden["ndref"], golden["file"])


NOTE = """6AE0C9D5D4D9F0F10042000100020050101100010008D4C9C3D9D6E2C6E3101200010008E7F0F0F0F0F0F1F7100100010007D4C1D7D3C5C3F1
100200010007C7C5D6D9C7C5C2102400010014F2F0F2F6F1F1F2F4F1F4F0F3F1F1F0F0F0F0F0F0102F0001000400000001
45E0C9D5D4D9F0F200000001102C000100080000000000000000003C00010002400000420001000400000084102800010007C9D5D4C3D6D7E8004900
010002000200280000
30E0C9D5D4D9F0F3102C000100080000000000000000003C000100024000004200010004000000500049000100020001"""


def notes(tap: Tap) -> None:
    with tap.case("a CMS note is built as a real one was, byte for byte"):
        deck = netdata.cms_note(["(Alice Longname <alice.longname@example.com>)",
                                 "The numbers are in the file that follows."],
                                origin=("MICROSFT", "X0000017"), to=("MAPLEC1", "GEORGEB"), subject="Quarterly numbers",
                                when=datetime(2026, 11, 24, 14, 3, 11))
        control = bytes.fromhex(NOTE.replace("\n", ""))
        same(b"".join(deck)[:len(control)].hex(), control.hex(), "control records")
        same((len(deck), b"".join(deck).rstrip(b"\0")[-8:].hex()), (6, "08e0c9d5d4d9f0f6"), "cards and INMR06")
        same(netdata.decode(b"".join(deck)).lines(),
             ["Date: 24 November 26, 14:03:11 GMT", "From: X0000017 at MICROSFT", "To:   GEORGEB at MAPLEC1",
              "Subject: Quarterly numbers", "", "(Alice Longname <alice.longname@example.com>)",
              "The numbers are in the file that follows."], "lines")
    with tap.case("long NETDATA records are cut into segments and joined again"):
        records = [random.randbytes(n) for n in (1, 253, 254, 600)]
        stream = netdata.control("INMR01", netdata.unit("INMFUID", "A")) + netdata.control("INMR03")
        stream += b"".join(map(netdata.record, records)) + netdata.control("INMR06")
        same(netdata.decode(b"".join(netdata.cards(stream))).files, [records], "records")


# --- mail ---


def letters(count: int) -> list[mail.Letter]:
    return [mail.compose("a@x.test", ["b@y.test", "c@y.test"], f"letter {n}", f"..dots\n.\ntext {n}", id=f"L{n}")
            for n in range(count)]


def mailing(tap: Tap) -> None:
    for pipelined in (True, False):
        with tap.case(f"load and sink ({'pipelined' if pipelined else 'one command at a time'}): each letter once, as sent"):
            with mail.Sink() as sink:
                load = mail.Load(("127.0.0.1", sink.port), letters(60), sessions=6, pipelined=pipelined,
                                 per_session=4).start()
                check(load.join(30), "load ends")
                same((len(load.accepted), len(load.uncertain), len(sink.letters)), (60, 0, 60), "accepted, uncertain, taken")
                for letter in letters(60):
                    same([s.content for s in sink.letters if s.header("Message-ID") == f"<{letter.id}@test.invalid>"],
                         [letter.content], letter.id)
    with tap.case("sink: 4xx and 5xx for single recipients, LMTP answers each one"):
        with mail.Sink(lmtp=True) as sink:
            sink.on_rcpt = lambda r: "550 5.1.1 unknown" if r.startswith("no") else None
            sink.on_data = lambda letter: "451 4.2.0 later" if letter.recipients == ["slow@y.test"] else None
            with mail.Client(("127.0.0.1", sink.port), lmtp=True) as client:
                letter = mail.compose("", ["no@y.test", "yes@y.test", "slow@y.test"], "s", "t")
                check(not client.deliver(letter), "not acknowledged as a whole")
                same({r: a[:3] for r, a in letter.replies.items()},
                     {"no@y.test": "550", "yes@y.test": "250", "slow@y.test": "451"}, "replies")
            same([le.recipients for le in sink.letters], [["yes@y.test"]], "taken")
    with tap.case("sink: a connection dropped before its 250 leaves the letter uncertain, and it comes again"):
        with mail.Sink() as sink:
            drops = iter(("drop",))
            sink.on_moment = lambda name: next(drops, None) if name == "DOT" else None
            load = mail.Load(("127.0.0.1", sink.port), letters(3), sessions=1).start()
            check(load.join(30), "load ends")
            same((len(load.accepted), len(load.uncertain), len(sink.letters), len(sink.seen)), (3, 1, 3, 4), "counts")


def main() -> None:
    tap, _ = start(__doc__, limit=300, daemon=False)
    for part in (scb, captures, playing, nodes, misbehaviour, real_files, notes, mailing):
        part(tap)
    tap.finish()


if __name__ == "__main__":
    main()
