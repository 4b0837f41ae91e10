#!/usr/bin/env python3
"""A neighbour that misbehaves in every way the NJE format leaves it, and the link that recovers by itself.

When this fails, a letter or host file is lost or comes twice without need, or an operator has to restart a link.
"""

import ssl
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import HOST, MAILNODE, Instance, Skip, Tap, check, free_port, same, start, until  # noqa: E402
from peer import nje, wire  # noqa: E402
from peer.connection import Connection  # noqa: E402
from peer.ebcdic import card  # noqa: E402
from peer.headers import segments  # noqa: E402
from peer.mail import Client, Sink  # noqa: E402
from peer.nje import Node  # noqa: E402
from peer.sending import Refused, Transmission  # noqa: E402
from traffic import HOST_USER, OUTSIDE_ADDRESS, letter, note_lines, send_note, tokens_of  # noqa: E402

WAIT = 30.0
SHORT = {"OVVM_TIMES": "nje.answer:1500,nje.cancel:500,nje.refused:200,nje.hold:1000,nje.stall:1000,nje.write:3000"}
LARGE = 14000  # lines: about 900 KB


class Door:
    """A connector, a sink and a host node that dials."""

    def __init__(self, build: Path, *, quirks: dict[str, Any] | None = None, link: dict[str, str | None] | None = None,
                 conf: dict[str, dict[str, str | None]] | None = None, short: bool = False, dials: bool = True) -> None:
        self.sink = Sink()
        sections = dict(conf or {})
        sections[f"link {HOST}"] = dict(link or {})
        listening = None if dials else nje.Node(HOST, MAILNODE, listen=0, quirks=quirks)
        self.ovvm = Instance(build, relay=("127.0.0.1", self.sink.port), conf=sections,
                             host_port=listening.port if listening else None, environment=SHORT if short else {})
        self.node = listening or Node(HOST, MAILNODE, connect=("127.0.0.1", self.ovvm.link_port), quirks=quirks)
        self.number = 0

    def __enter__(self) -> "Door":
        self.ovvm.__enter__()
        return self

    def __exit__(self, *what: Any) -> None:
        self.node.close()
        self.ovvm.__exit__(*what)
        self.sink.close()

    def token(self, kind: str) -> str:
        self.number += 1
        return f"{kind}{self.number:07}"

    def mail(self, lines: int = 1) -> str:
        """Hands a letter over; its token."""
        token = self.token("M")
        with Client(self.ovvm.smtp) as client:
            check(client.deliver(letter(token, "\n".join(f"line {n} of the text" for n in range(lines)))), "250")
        return token

    def at_host(self, token: str) -> int:
        return sum(token in tokens_of("\n".join(note_lines(f)).encode()) for f in list(self.node.received))

    def at_sink(self, token: str) -> int:
        return sum(token in tokens_of(got.content) for got in list(self.sink.letters))

    def both_ways(self, what: str = "afterwards") -> None:
        """The link works, without an operator."""
        out = self.mail()
        into = self.token("H")
        check(send_note(self.node, into).wait(WAIT), f"a file is acknowledged {what}")
        until(lambda: self.at_host(out) and self.at_sink(into), WAIT, f"mail both ways {what}")
        self.ovvm.wait_empty(WAIT)
        check(self.ovvm.alive(), "the connector lives")
        same(self.node.violations, [], "what the connector did against the protocol")


# --- lost at every moment ---


def lost_while_it_sends(tap: Tap, build: Path) -> None:
    """nje.md §6: no C0 and a lost link: the file is sent again, whole; after a lost C0 the copy is suppressed."""
    with Door(build) as door:
        for moment in ("send:90", "sent:90", "send:NJH", "sent:NJH", "sent:DSH", "sent:data:0", "sent:NJT", "send:EOF",
                       "sent:EOF", "recv:A0", "recv:C0"):
            for action in (nje.drop, nje.reset):
                with tap.case(f"a host file arrives once when the link is lost at {moment} ({action.__name__})"):
                    token = door.token("H")
                    door.node.at(moment, action)
                    check(send_note(door.node, token).wait(WAIT), "acknowledged in the end")
                    same(door.node.hooks_left(), 0, "moments that did not come")
                    until(lambda: door.at_sink(token), WAIT, "the letter")
                    door.ovvm.wait_empty(WAIT)
                    same(door.at_sink(token), 1, "letters")


def lost_while_it_takes(tap: Tap, build: Path) -> None:
    with Door(build) as door:
        for moment in ("recv:90", "recv:NJH", "recv:DSH", "recv:data:1", "recv:NJT", "recv:EOF", "before:C0", "after:C0"):
            with tap.case(f"a letter arrives at the host when the link is lost at {moment}"):
                door.node.at(moment, nje.drop)
                token = door.mail()
                until(lambda: door.at_host(token) and door.node.hooks_left() == 0, WAIT, "the letter")
                door.ovvm.wait_empty(WAIT)


def lost_while_signing_on(tap: Tap, build: Path) -> None:
    for dials, moments in ((True, ("before:OPEN", "after:OPEN", "before:ENQ", "before:I", "after:I", "up")),
                           (False, ("recv:OPEN", "before:ACK", "after:ACK", "before:ACK0", "before:J", "after:J", "up"))):
        with Door(build, dials=dials) as door:
            check(door.node.wait_up(WAIT), "signed on")
            for moment in moments:
                with tap.case(f"the link comes up after it was lost at {moment} of the sign-on"):
                    ups = door.node.connections
                    door.node.at(moment, nje.drop)
                    door.node.drop()
                    until(lambda: door.node.hooks_left() == 0, WAIT, moment)
                    check(door.node.wait_up(WAIT, ups + 1), "up again")
                    door.both_ways()


# --- answers that do not come ---


def silence(tap: Tap, build: Path) -> None:
    with Door(build, short=True) as door:
        check(door.node.wait_up(WAIT), "signed on")
        with tap.case("no permission (A0) ever: the link is opened anew, and the letter goes when there is one"):
            door.node.quirks.withhold = True
            ups, token = door.node.connections, door.mail()
            check(door.node.wait_up(WAIT, ups + 1), "opened anew")
            door.node.quirks.withhold = False
            until(lambda: door.at_host(token), WAIT, "the letter")
            door.both_ways()
        with tap.case("no C0 ever (how VM/370 and NJE38 reject a file): after three times the sender is told"):
            door.node.quirks.complete = False
            token = door.mail()
            until(lambda: any(b"no acknowledgement (C0)" in got.content.replace(b"\r\n ", b" ") for got in
                              list(door.sink.letters)), WAIT, "the report")
            check(door.at_host(token) <= 3, "tries")
            door.node.quirks.complete = True
            door.both_ways()
        with tap.case("wait-a-bit for ever: the link is opened anew"):
            ups = door.node.connections
            door.node.wait_a_bit(True)
            token = door.mail()
            check(door.node.wait_up(WAIT, ups + 1), "opened anew")
            until(lambda: door.at_host(token), WAIT, "the letter")
            door.both_ways()
        with tap.case("a file that stops in the middle: the link is opened anew, and the file comes whole"):
            ups, token = door.node.connections, door.token("H")
            door.node.at("sent:data:0", nje.silence)
            sending = send_note(door.node, token)
            until(lambda: door.node.hooks_left() == 0, WAIT, "the silence")
            door.ovvm.wait_log("sends nothing more of the file", WAIT)
            check(sending.wait(WAIT), "acknowledged in the end")
            until(lambda: door.at_sink(token), WAIT, "the letter")
            same(door.at_sink(token), 1, "letters")
            door.both_ways()


# --- cancels and refusals ---


def give_up(connection: Connection) -> None:
    """Transmitter cancel, nje.md §6."""
    connection.send_buffer(bytes([0x99, 0x40, 0x40, 0x00]))
    raise Refused


def receiver_cancel(connection: Connection) -> None:
    connection.cancel(0x99)


def cancels(tap: Tap, build: Path) -> None:
    with Door(build, short=True) as door:
        check(door.node.wait_up(WAIT), "signed on")
        with tap.case("a transmitter cancel in mid-file leaves no letter, and the stream takes the next file"):
            token = door.token("H")
            door.node.at("send:NJT", give_up)
            check(not send_note(door.node, token).wait(WAIT), "given up")
            door.both_ways()
            same(door.at_sink(token), 0, "letters of a file that was given up")
        with tap.case("a transmitter cancel while our own file is on the stream of that number does not end ours"):
            large, token = door.mail(LARGE), door.token("H")
            until(lambda: door.node.connection and 0x99 in door.node.connection.incoming, WAIT, "our file under way")
            door.node.at("send:NJT", give_up)
            check(not send_note(door.node, token).wait(WAIT), "given up")
            until(lambda: door.at_host(large), WAIT, "the large letter")
            door.both_ways()
        with tap.case("a receiver cancel (B0) in mid-file is answered; the letter comes again, whole"):
            door.node.at("recv:data:1", receiver_cancel)
            token = door.mail(200)
            check(door.node.wait_note("cancelled", WAIT), "our transmitter cancel")
            until(lambda: door.at_host(token), WAIT, "the letter")
            door.both_ways()
        with tap.case("a refused file (B0 before its data) comes again"):
            door.node.quirks.refuse = True
            token = door.mail()
            door.ovvm.wait_log("does not permit it (B0)", WAIT)
            door.node.quirks.refuse = False
            until(lambda: door.at_host(token), WAIT, "the letter")
            door.both_ways()
        with tap.case("a slow reader gets a large letter whole"):
            door.node.quirks.read_rate = 400000
            token = door.mail(LARGE)
            until(lambda: door.at_host(token), 2 * WAIT, "the letter")
            door.node.quirks.read_rate = 0
            door.both_ways()


# --- files nobody understands ---


def odd_files(tap: Tap, build: Path) -> None:
    """NJ-12: taken whole, acknowledged, then reported or put aside; the next one does not wait."""
    with Door(build) as door:
        ups = 0

        def taken(name: str, headers: list[tuple[int, bytes]]) -> None:
            with tap.case(f"{name}: acknowledged, and the link stays up"):
                sending = door.node.send_file([card("A CARD")], origin=HOST_USER, dest=OUTSIDE_ADDRESS, headers=headers)
                check(sending.wait(WAIT), "acknowledged")
                token = door.token("H")
                check(send_note(door.node, token).wait(WAIT), "the next one too")
                until(lambda: door.at_sink(token), WAIT, "the next letter")
                same(door.node.connections, ups, "sign-ons")

        check(door.node.wait_up(WAIT), "signed on")
        ups = door.node.connections
        sample = door.node.send_file([card("A CARD")], origin=HOST_USER, dest=OUTSIDE_ADDRESS)
        check(sample.wait(WAIT), "acknowledged")
        njh, dsh = segments(sample.job.build(), 253)[0], segments(sample.dataset.build(), 253)[0]
        taken("a job header that is cut", [(wire.SRCB_NJH, njh[:40]), (wire.SRCB_DSH, dsh)])
        taken("a job header whose section is longer than it", [(wire.SRCB_NJH, njh[:4] + b"\xff" + njh[5:]), (wire.SRCB_DSH, dsh)])
        taken("a header segment whose first never came", [(wire.SRCB_NJH, njh), (wire.SRCB_DSH, dsh[:3] + b"\x01" + dsh[4:])])
        taken("a header of one octet", [(wire.SRCB_NJH, b"\x00"), (wire.SRCB_DSH, dsh)])
        taken("no data set header", [(wire.SRCB_NJH, njh)])
        taken("a record of a kind there is not (SRCB F0)", [(wire.SRCB_NJH, njh), (wire.SRCB_DSH, dsh), (0xF0, b"\x01\x02")])


def jobs(tap: Tap, build: Path) -> None:
    with Door(build) as door:
        check(door.node.wait_up(WAIT), "signed on")
        with tap.case("a SYSIN job is acknowledged, and its sender is told that nothing runs jobs here"):
            sample = door.node.send_file([card("//PAYROLL JOB")], origin=HOST_USER, dest=OUTSIDE_ADDRESS)
            check(sample.wait(WAIT), "acknowledged")
            sample.headers, sample.state = [(wire.SRCB_NJH, s) for s in segments(sample.job.build(), 253)], "sending"
            assert door.node.connection
            Transmission(door.node, door.node.connection, 0x98, sample).run()
            same(sample.state, "confirmed", "the job")
            until(lambda: any("runs no jobs" in " ".join(note_lines(f)) for f in list(door.node.received)), WAIT, "the report")
            door.ovvm.wait_empty(WAIT)


# --- streams ---


def streams(tap: Tap, build: Path) -> None:
    """NJ-05: several streams over there, one or several here: no file sticks."""
    for ours in (1, 3, 7):
        with Door(build, quirks=dict(streams=7), link={"streams": str(ours), "kind": "unixnje"}) as door:
            with tap.case(f"a neighbour with seven streams, {ours} here: forty files and forty letters, each once"):
                files = [door.token("H") for _ in range(40)]
                sendings = [send_note(door.node, token) for token in files]
                letters = [door.mail() for _ in range(40)]
                for sending in sendings:
                    check(sending.wait(WAIT), "acknowledged")
                until(lambda: all(door.at_host(t) for t in letters) and all(door.at_sink(t) for t in files), WAIT, "all")
                door.both_ways()
                same([t for t in letters if door.at_host(t) != 1], [], "letters twice")
                same([t for t in files if door.at_sink(t) != 1], [], "files twice")
    with Door(build, link={"streams": "2", "kind": "unixnje"}) as door:
        with tap.case("small letters do not wait for large ones"):
            check(door.node.wait_up(WAIT), "signed on")
            door.node.quirks.read_rate = 500000
            large = [door.mail(LARGE) for _ in range(3)]
            until(lambda: door.node.connection and door.node.connection.incoming, WAIT, "a large one under way")
            small = door.mail()
            until(lambda: door.at_host(small), WAIT, "the small one")
            check(not all(door.at_host(t) for t in large), "the large ones are still on their way")
            door.node.quirks.read_rate = 0
            until(lambda: all(door.at_host(t) for t in large), 2 * WAIT, "the large ones")


# --- copies ---


def copies(tap: Tap, build: Path) -> None:
    """What looks like a copy and is none loses nothing."""
    with Door(build) as door:
        def send(dest: str, **more: Any) -> str:
            token = door.token("H")
            sending = door.node.send_file([card(f"TOKEN-{token}")], origin=HOST_USER, dest=(MAILNODE, dest), **more)
            check(sending.wait(WAIT), "acknowledged")
            until(lambda: door.at_sink(token), WAIT, "the letter")
            return token

        check(door.node.wait_up(WAIT), "signed on")
        with tap.case("a lost acknowledgement: the copy is suppressed"):
            door.node.at("recv:C0", nje.drop)
            same(door.at_sink(send("ALICE")), 1, "letters")
        with tap.case("a copy with a zero time: it is delivered again rather than lost"):
            door.node.at("recv:C0", nje.drop)
            token = send("ALICE", job={"entry": 0})
            until(lambda: door.at_sink(token) == 2, WAIT, "both")
        with tap.case("a job that was split on its way, one header for all: each part arrives, also after a lost acknowledgement"):
            job = {"job_id": 77, "entry": nje.now_stck()}
            lines = [card("TOKEN-H7700001")]
            door.node.at("recv:C0", nje.drop)
            for user in ("ALICE", "BOB", "CAROL"):
                check(door.node.send_file(lines, origin=HOST_USER, dest=(MAILNODE, user), job=job).wait(WAIT), "acknowledged")
            until(lambda: door.at_sink("H7700001") == 3, WAIT, "the three")
        with tap.case("a job id that comes again after 9999 others is another file"):
            lines = [card("TOKEN-H7800001")]
            for _ in range(2):
                door.node.at("recv:C0", nje.drop)
                check(door.node.send_file(lines, origin=HOST_USER, dest=OUTSIDE_ADDRESS, job={"job_id": 78}).wait(WAIT),
                      "acknowledged")
            until(lambda: door.at_sink("H7800001") == 2, WAIT, "both")


def origins(tap: Tap, build: Path) -> None:
    for trust in ("no", "yes"):
        other = {"link OAK": {"connect": f"127.0.0.1:{free_port()}"}}
        with Door(build, link={"trust-origin": trust}, conf=other) as door:
            with tap.case(f"trust-origin = {trust}: a file of another link's node is " +
                          ("put aside" if trust == "no" else "delivered")):
                token = door.token("H")
                sending = door.node.send_file([card(f"TOKEN-{token}")], origin=("OAK", "JOE"), dest=OUTSIDE_ADDRESS)
                check(sending.wait(WAIT), "acknowledged")
                if trust == "yes":
                    until(lambda: door.at_sink(token), WAIT, "the letter")
                else:
                    until(lambda: any(q["quarantine"] for q in door.ovvm.ovvm("status")["queues"]), WAIT, "quarantine")
                    same(door.at_sink(token), 0, "letters in OAK's name")


# --- TLS ---


def certificates(folder: Path) -> None:
    """An authority, and certificates of it for both sides; a stranger's beside them."""
    def run(*words: str) -> None:
        try:
            subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)
        except FileNotFoundError:
            raise Skip("openssl is not installed") from None

    for name in ("ca", "stranger"):
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
    for name in ("ovvm", "host"):
        run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-addext",
            f"subjectAltName=DNS:{name}.example.org", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2", "-copy_extensions",
            "copy", "-out", f"{name}.pem")
        (folder / f"{name}.key").chmod(0o600)


def context(folder: Path, dials: bool, own: str = "host", trusts: str = "ca") -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if dials else ssl.PROTOCOL_TLS_SERVER)
    made.load_verify_locations(folder / f"{trusts}.pem")
    made.load_cert_chain(folder / f"{own}.pem", folder / f"{own}.key")
    if not dials:
        made.verify_mode = ssl.CERT_REQUIRED
    return made


def encrypted(tap: Tap, build: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="ovvm-tls-") as folder:
        try:
            certificates(Path(folder))
        except Skip as why:
            tap.skip("encrypted links", str(why))
            return
        _encrypted(tap, build, Path(folder))


def _encrypted(tap: Tap, build: Path, folder: Path) -> None:
    files = {"ca": str(folder / "ca.pem"), "cert": str(folder / "ovvm.pem"), "key": str(folder / "ovvm.key"),
             "tls-name": "host.example.org"}
    for mode in ("implicit", "starttls"):
        for dials in (True, False):
            quirks = dict(tls=mode, tls_context=context(folder, dials), tls_name="ovvm.example.org" if dials else None)
            with Door(build, quirks=quirks, link={"tls": mode, **files}, dials=dials) as door:
                with tap.case(f"tls = {mode}, {'the neighbour dials' if dials else 'we dial'}: mail both ways, large ones too"):
                    large = door.mail(LARGE)
                    until(lambda: door.at_host(large), WAIT, "the large letter")
                    door.both_ways()
                    same(door.node.noted("tls")[0], "TLSv1.3", "version")
        bad: dict[str, Callable[[], dict[str, Any]]] = {
            "in clear": lambda: dict(tls="off"),
            "the other way": lambda: dict(tls="implicit" if mode == "starttls" else "starttls",
                                          tls_context=context(folder, True), tls_name="ovvm.example.org"),
            "with a stranger's certificate": lambda: dict(tls=mode, tls_context=context(folder, True, "stranger"),
                                                          tls_name="ovvm.example.org"),
            "with a certificate of another name": lambda: dict(tls=mode, tls_context=context(folder, True, "ovvm"),
                                                               tls_name="ovvm.example.org"),
        }
        for what, quirks_of in bad.items():
            with Door(build, quirks=quirks_of(), link={"tls": mode, **files}) as door, \
                    tap.case(f"tls = {mode}: a neighbour that comes {what} is refused, and the log says why"):
                lines = until(lambda: [line for line in door.ovvm.log_lines() if "refused" in line
                                       or "certificate" in line or "handshake" in line], WAIT, "a line")
                same(door.ovvm.ovvm("status")["links"][0]["state"] == "up", False, f"up: {lines}")


PARTS = {part.__name__: part for part in (lost_while_it_sends, lost_while_it_takes, lost_while_signing_on, silence, cancels,
                                          odd_files, jobs, streams, copies, origins, encrypted)}


def main() -> None:
    tap, args = start(__doc__, limit=600, options=lambda parser: parser.add_argument(
        "--only", nargs="+", default=list(PARTS), choices=list(PARTS), help="only these parts"))
    for part in args.only:
        PARTS[part](tap, args.build)
    tap.finish()


if __name__ == "__main__":
    main()
