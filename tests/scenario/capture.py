#!/usr/bin/env python3
"""Captured sessions of other NJE programs, played to the connector; then frames no NJE program may send.

When this fails, a site whose neighbour behaves like UnixNJE or NJElib cannot sign on, or one bad frame keeps a link down.
"""

import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import HOST, MAILNODE, Instance, Tap, check, log_level, same, start, until  # noqa: E402
from peer import capture, nje  # noqa: E402
from peer.mail import Client, Sink  # noqa: E402
from peer.nje import Node  # noqa: E402
from traffic import letter, note_lines, send_note  # noqa: E402

DATA = Path(__file__).resolve().parent.parent / "data" / "nje"
WAIT = 20.0
GARBLED = (nje.wrong_bcb, nje.garbage_rcb, nje.garbage_scb, nje.cut_literal, nje.long_ttr, nje.short_ttb, nje.cut_block)


def played(tap: Tap, build: Path) -> None:
    for path in sorted(DATA.glob("*.pcap")):
        for session in capture.sessions(path):
            for side, ours in (session.names, session.names[::-1]):
                with tap.case(f"{path.stem}: {side}'s bytes, the connector as {ours}"), Sink() as sink:
                    _play(session, side, ours, build, sink)


def _play(session: capture.Session, side: str, ours: str, build: Path, sink: Sink) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dialled = session.side(side) == 1
        with Instance(build, relay=("127.0.0.1", sink.port), node=ours, neighbour=side, kind="unixnje",
                      host_port=listener.getsockname()[1] if dialled else None) as ovvm:
            if dialled:
                result = capture.play(session, side, listener=listener, limit=WAIT)
            else:
                result = capture.play(session, side, connect=("127.0.0.1", ovvm.link_port), limit=WAIT)
            same(result.differences, [], "differences")
            files = sum(kind.startswith("90:") for kind in result.sent)
            acknowledged = sum(event.kind.startswith("C0:") for event in result.live)
            same(acknowledged, files, "files acknowledged")
            check(ovvm.alive(), "the connector lives on")
            sink.wait_for(files, WAIT)


def garbled(tap: Tap, build: Path) -> None:
    with Sink() as sink, Instance(build, relay=("127.0.0.1", sink.port)) as ovvm, \
            Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
        check(host.wait_up(WAIT), "signed on")
        for number, action in enumerate(GARBLED):
            with tap.case(f"{action.__name__}: the link ends with one clear line and comes back; the file too"):
                before, ups, letters = len(ovvm.log_lines()), host.connections, len(sink.letters)
                host.at("send:data:1", action)
                check(send_note(host, f"H{number:07}").wait(WAIT), "acknowledged in the end")
                check(host.wait_up(WAIT, ups + 1), "the link is back")
                sink.wait_for(letters + 1, WAIT)
                same(len(sink.letters), letters + 1, "letters")
                lines = [line for line in ovvm.log_lines()[before:] if log_level(line) in (1, 2)]
                same(len(lines), 1, f"warnings: {lines}")
                check(HOST in lines[0], f"the line names the link: {lines[0]}")
        with tap.case("a TTB of 65,535 bytes that never comes does not stop the other direction or the daemon"):
            host.at("send:data:1", nje.long_ttb)
            host.at("send:data:1", nje.silence)
            sending = send_note(host, "H0000100")
            until(lambda: host.hooks_left() == 0, WAIT, "the frame to be sent")
            with Client(ovvm.smtp) as client:
                check(client.deliver(letter("M0000101")), "mail is taken meanwhile")
            host.drop(reset=True)
            check(sending.wait(WAIT), "the file comes again")
            until(lambda: any("M0000101" in line for f in list(host.received) for line in note_lines(f)), WAIT,
                  "the letter at the host")


def before_sign_on(tap: Tap, build: Path) -> None:
    """What a port scanner or a wrong neighbour sends."""
    cases = {"nothing at all": b"", "HTTP": b"GET / HTTP/1.0\r\n\r\n" + bytes(40),
             "a TLS hello": b"\x16\x03\x01\x02\x00" + bytes(60),
             "half an OPEN": nje.wire.Control("OPEN", HOST, MAILNODE).pack()[:20]}
    with Sink() as sink, Instance(build, relay=("127.0.0.1", sink.port)) as ovvm:
        for what, data in cases.items():
            with tap.case(f"{what} on the link's port: closed, and the neighbour signs on all the same"):
                with socket.create_connection(("127.0.0.1", ovvm.link_port), timeout=WAIT) as sock:
                    sock.sendall(data)
                    with Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
                        check(host.wait_up(WAIT), "signed on")
        with tap.case("a stranger's OPEN is answered NAK 1 with the names turned round"):
            with socket.create_connection(("127.0.0.1", ovvm.link_port), timeout=WAIT) as sock:
                sock.sendall(nje.wire.Control("OPEN", "NOBODY", MAILNODE).pack())
                data = b""
                while len(data) < 33 and (piece := sock.recv(64)):
                    data += piece
                answer = nje.wire.Control.unpack(data)
                same((answer.kind, answer.rhost, answer.ohost, answer.reason), ("NAK", MAILNODE, "NOBODY", 1), "answer")


def main() -> None:
    tap, args = start(__doc__, limit=300)
    played(tap, args.build)
    garbled(tap, args.build)
    before_sign_on(tap, args.build)
    tap.finish()


if __name__ == "__main__":
    main()
