"""Captured NJE/TCP sessions: reads a classic pcap, puts the TCP streams together, and plays one side to a live peer.

`play` sends what its side sent, byte for byte, once the live peer has given every *answer* that the other side had
given by then (ACK, DLE ACK0, J, permission, acknowledgement). What the other side did of its own accord (files,
messages, sign-off, K/L) the live peer need not do; then this side's answers to it are left out too. Only the BCB is
counted anew, because what was left out took numbers.
"""

import socket
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import wire
from .wire import Buffer, Control, WireError


@dataclass
class Event:
    """One thing one side sent: a control record or one TTR payload."""
    side: int  # 0: the dialler, 1: the listener
    at: float
    control: Control | None = None
    payload: bytes = b""

    @property
    def buffer(self) -> Buffer | None:
        return wire.parse_buffer(self.payload) if wire.is_buffer(self.payload) else None

    @property
    def kind(self) -> str:
        """A word for what it is: OPEN, ACK, ENQ, ACK0, I, J, L, B, 90:99, A0:99, C0:99, NMR, stream:99, null."""
        if self.control:
            return self.control.kind
        buffer = self.buffer
        if buffer is None:
            return {wire.ENQ: "ENQ", wire.ACK0: "ACK0"}.get(self.payload[:2], self.payload.hex())
        if not buffer.records:
            return "null"
        first = buffer.records[0]
        if first.rcb == wire.RCB_GENERAL:
            return {0xC9: "I", 0xD1: "J", 0xD2: "K", 0xD3: "L", 0xD4: "M", 0xD5: "N", 0xC2: "B"}.get(first.srcb, "F0")
        if first.rcb == wire.RCB_NMR:
            return "NMR"
        if wire.is_stream(first.rcb):
            return f"stream:{first.rcb:02X}"
        return f"{first.rcb:02X}:{first.srcb:02X}"


@dataclass
class Session:
    """One TCP connection that carried something. names[0] is the dialler's node."""
    names: tuple[str, str] = ("", "")
    events: list[Event] = field(default_factory=list)

    def side(self, node: str) -> int:
        return self.names.index(node.upper())

    def of(self, side: int) -> list[Event]:
        return [e for e in self.events if e.side == side]


# --- reading ---


@dataclass
class Packet:
    at: float
    source: tuple[bytes, int]
    target: tuple[bytes, int]
    sequence: int
    flags: int
    data: bytes


def packets(path: Path) -> list[Packet]:
    """The TCP packets of a classic pcap (Ethernet, Linux cooked, BSD loopback or raw IP)."""
    raw = path.read_bytes()
    order = {0xD4C3B2A1: "<", 0xA1B2C3D4: ">", 0x4D3CB2A1: "<", 0xA1B23C4D: ">"}.get(struct.unpack(">I", raw[:4])[0])
    if order is None:
        raise ValueError(f"{path}: not a classic pcap")
    link = struct.unpack_from(order + "I", raw, 20)[0] & 0xFFFF
    skip = {1: 14, 113: 16, 0: 4, 101: 0, 228: 0, 12: 0, 276: 20}[link]
    found, at = [], 24
    while at + 16 <= len(raw):
        seconds, fraction, length, _ = struct.unpack_from(order + "IIII", raw, at)
        packet = raw[at + 16 + skip:at + 16 + length]
        at += 16 + length
        if len(packet) < 20 or packet[0] >> 4 != 4 or packet[9] != 6:
            continue
        head, total = (packet[0] & 15) * 4, struct.unpack_from(">H", packet, 2)[0]
        tcp = packet[head:total]
        source, target, sequence = struct.unpack_from(">HHI", tcp, 0)
        found.append(Packet(seconds + fraction / 1e6, (packet[12:16], source), (packet[16:20], target), sequence, tcp[13],
                            tcp[(tcp[12] >> 4) * 4:]))
    return found


def sessions(path: Path) -> list[Session]:
    """The NJE sessions of a capture; connections without data are left out."""
    streams: dict[tuple, list] = {}  # connection -> [Session, {side: next sequence}, {side: waiting}, {side: parser}]
    order: list[Session] = []
    for packet in packets(path):
        key, back = (packet.source, packet.target), (packet.target, packet.source)
        if packet.flags & 0x02 and not packet.flags & 0x10:  # SYN
            state = [Session(), {}, {0: {}, 1: {}}, {0: _Parser(0), 1: _Parser(1)}]
            streams[key] = state
            order.append(state[0])
        state = streams.get(key) or streams.get(back)
        if state is None:
            continue
        side = 0 if key in streams else 1
        session, following, waiting, parsers = state
        if packet.flags & 0x02:
            following[side] = (packet.sequence + 1) & 0xFFFFFFFF
        if not packet.data or side not in following:
            continue
        waiting[side][packet.sequence] = packet.data
        while following[side] in waiting[side]:
            data = waiting[side].pop(following[side])
            following[side] = (following[side] + len(data)) & 0xFFFFFFFF
            session.events += parsers[side].feed(data, packet.at)
    kept = [s for s in order if s.events]
    for session in kept:
        first = session.events[0].control
        if first:
            session.names = (first.rhost, first.ohost)
    return kept


class _Parser:
    """Turns one direction's bytes into events."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.head: bytes | None = b""
        self.blocks = wire.BlockReader()

    def feed(self, data: bytes, at: float) -> list[Event]:
        events = []
        if self.head is not None:
            self.head += data
            if len(self.head) < wire.CONTROL_SIZE:
                return []
            events.append(Event(self.side, at, Control.unpack(self.head[:wire.CONTROL_SIZE])))
            data, self.head = self.head[wire.CONTROL_SIZE:], None
        for records in self.blocks.feed(data):
            events += [Event(self.side, at, payload=r) for r in records]
        return events


# --- playing ---


@dataclass
class Played:
    """What happened: events of the live peer, the kinds sent, and every difference that matters."""
    live: list[Event] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


ANSWERS = ("ACK", "ACK0", "ENQ", "I", "J", "OPEN", "A0:", "C0:")


def play(session: Session, node: str, *, connect: tuple[str, int] | None = None,
         listener: socket.socket | None = None, limit: float = 30.0) -> Played:
    """Plays `node`'s side. The dialler's side needs `connect`, the listener's a listening socket. Each wait for the live
    peer has `limit`; the connection is closed at the end, as it was in the capture."""
    side = session.side(node)
    sock = _open(connect, listener, limit)
    try:
        return _Player(session, side, sock, limit).run()
    finally:
        sock.close()


def _open(connect: tuple[str, int] | None, listener: socket.socket | None, limit: float) -> socket.socket:
    if connect is not None:
        sock = socket.create_connection(connect, timeout=limit)
    else:
        assert listener
        listener.settimeout(limit)
        sock = listener.accept()[0]
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class _Player:
    def __init__(self, session: Session, side: int, sock: socket.socket, limit: float) -> None:
        self.session, self.side, self.sock, self.limit = session, side, sock, limit
        self.parser = _Parser(1 - side)
        self.played = Played()
        self.unmatched: list[Event] = []  # live events not yet set against the capture
        self.bcb: int | None = None
        self.skipped = False

    def run(self) -> Played:
        for event in self.session.events:
            if event.side == self.side:
                self._ours(event)
            else:
                self._theirs(event)
        self._drain()
        return self.played

    def _drain(self) -> None:
        """Reads on until the live peer closes, so that unread bytes do not turn the end into a reset."""
        self.sock.shutdown(socket.SHUT_WR)
        self.sock.settimeout(self.limit)
        try:
            while data := self.sock.recv(65536):
                self.played.live += self.parser.feed(data, time.time())
        except TimeoutError:
            self.played.differences.append("the live peer did not close")
        except ConnectionResetError:
            pass

    def _ours(self, event: Event) -> None:
        kind = event.kind
        if kind[:3] in ("A0:", "C0:", "B0:") and self.skipped:
            return  # an answer to a file that the live peer did not send
        if event.control:
            self.sock.sendall(event.control.pack())
        else:
            self.sock.sendall(wire.block([self._numbered(event.payload)]))
        self.played.sent.append(kind)

    def _numbered(self, payload: bytes) -> bytes:
        if not wire.is_buffer(payload):
            return payload
        bcb = payload[2]
        if bcb & 0xF0 == 0xA0:
            self.bcb = bcb & 15
            return payload
        if bcb & 0xF0 != 0x80:
            return payload
        number = bcb & 15 if self.bcb is None else self.bcb
        self.bcb = (number + 1) & 15
        return payload[:2] + bytes([0x80 | number]) + payload[3:]

    def _theirs(self, event: Event) -> None:
        """An answer is waited for; anything of their own accord is not."""
        kind = event.kind
        if kind.startswith("90:"):
            self.skipped = True  # from here on the capture's permissions and C0 are for files the live peer has not sent
        if not kind.startswith(ANSWERS) or (kind == "ACK0" and event is not self._first_ack0()):
            return
        found = self._wait(kind)
        if found is None:
            self.played.differences.append(f"no {kind} within {self.limit:g} s")
            raise WireError(f"the live peer gave no {kind}")
        self._compare(event, found)

    def _first_ack0(self) -> Event | None:
        """The ACK0 that answers ENQ; a later one is optional."""
        return next((e for e in self.session.events if e.kind == "ACK0"), None)

    def _wait(self, kind: str) -> Event | None:
        deadline = time.monotonic() + self.limit
        while True:
            for at, event in enumerate(self.unmatched):
                if event.kind == kind:
                    del self.unmatched[at]
                    return event
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(65536)
            except TimeoutError:
                return None
            if not data:
                raise WireError(f"the live peer closed while {kind} was awaited")
            events = self.parser.feed(data, time.time())
            self.played.live += events
            self.unmatched += events

    def _compare(self, captured: Event, live: Event) -> None:
        """What is deterministic: names, reason codes, sign-on fields that the protocol fixes."""
        differences = self.played.differences
        if captured.control and live.control:
            for what in ("kind", "rhost", "ohost", "reason"):
                old, new = getattr(captured.control, what), getattr(live.control, what)
                if old != new:
                    differences.append(f"{captured.kind}: {what} {new!r}, captured {old!r}")
            return
        if captured.kind not in ("I", "J"):
            return
        old, new = (wire.SignOn.unpack(e.buffer.records[0]) for e in (captured, live))  # type: ignore[union-attr]
        if old.node != new.node:
            differences.append(f"{captured.kind}: node {new.node}, captured {old.node}")
        mine = next((e for e in self.session.of(self.side) if e.kind in ("I", "J")), None)
        offered = wire.SignOn.unpack(mine.buffer.records[0]).buffer if mine and mine.buffer else 0
        if captured.kind == "J" and not 0 < new.buffer <= offered:
            differences.append(f"J: buffer {new.buffer}, {offered} offered")
