"""NJE over TCP on the wire: control records, TTB/TTR blocks, NJE buffers, string control bytes.

Pure functions on bytes, written from the published formats. What can go wrong: everything, since the other side is
under test; each decoder raises WireError naming the place.
"""

import struct
from dataclasses import dataclass, field

from . import ebcdic

ENQ, ACK0, SYN_NAK, NAK = b"\x01\x2d", b"\x10\x70", b"\x32\x3d", b"\x3d"
STX = b"\x10\x02"
FCS_NORMAL = b"\x8f\xcf"
FCS_WAIT = b"\xcf\xcf"

RCB_REQUEST, RCB_PERMIT, RCB_REFUSE, RCB_COMPLETE = 0x90, 0xA0, 0xB0, 0xC0
RCB_READY, RCB_BCB_ERROR, RCB_GENERAL, RCB_NMR = 0xD0, 0xE0, 0xF0, 0x9A
SRCB_I, SRCB_J, SRCB_K, SRCB_L, SRCB_M, SRCB_N, SRCB_B = 0xC9, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0xC2
SRCB_NJH, SRCB_DSH, SRCB_NJT = 0xC0, 0xE0, 0xD0

CONTROL_SIZE = 33
BLOCK_MAX = 65535


class WireError(Exception):
    """What arrived is not NJE."""


# --- 33-byte control record (OPEN, ACK, NAK) ---


@dataclass
class Control:
    kind: str
    rhost: str
    ohost: str
    rip: bytes = b"\x7f\x00\x00\x01"
    oip: bytes = b"\x7f\x00\x00\x01"
    reason: int = 0

    def pack(self) -> bytes:
        return (ebcdic.name(self.kind) + ebcdic.name(self.rhost) + self.rip + ebcdic.name(self.ohost) + self.oip
                + bytes([self.reason]))

    @staticmethod
    def unpack(data: bytes) -> "Control":
        if len(data) != CONTROL_SIZE:
            raise WireError(f"control record of {len(data)} bytes")
        kind = ebcdic.plain(data[0:8])
        if kind not in ("OPEN", "ACK", "NAK", "OPEN SSL"):
            raise WireError(f"control record of type {data[0:8].hex()}")
        return Control(kind, ebcdic.plain(data[8:16]), ebcdic.plain(data[20:28]), data[16:20], data[28:32], data[32])


# --- TTB / TTR ---


def block(records: list[bytes]) -> bytes:
    """One TTB block with its records and the closing zero TTR."""
    body = b"".join(struct.pack(">BxH", 0, len(r)) + r for r in records) + bytes(4)
    return struct.pack(">BxHI", 0, 8 + len(body), 0) + body


class BlockReader:
    """Accumulates what TCP delivers and gives whole blocks."""

    def __init__(self) -> None:
        self.pending = b""

    def feed(self, data: bytes) -> list[list[bytes]]:
        self.pending += data
        blocks = []
        while len(self.pending) >= 8:
            length = struct.unpack_from(">H", self.pending, 2)[0]
            if length < 12:
                raise WireError(f"TTB with LN={length}")
            if len(self.pending) < length:
                break
            blocks.append(_records(self.pending[8:length]))
            self.pending = self.pending[length:]
        return blocks


def _records(body: bytes) -> list[bytes]:
    records, at = [], 0
    while True:
        if at + 4 > len(body):
            raise WireError("block without a closing TTR")
        length = struct.unpack_from(">H", body, at + 2)[0]
        at += 4
        if length == 0:
            return records
        if at + length > len(body):
            raise WireError("TTR overruns its block")
        records.append(body[at:at + length].lstrip(b"\x32") or body[at:at + length])
        at += length


# --- string control bytes ---


def scb_literal(data: bytes) -> bytes:
    """The way UnixNJE sends: literals only."""
    out = b""
    for at in range(0, len(data), 63):
        piece = data[at:at + 63]
        out += bytes([0xC0 | len(piece)]) + piece
    return out + b"\x00"


def scb_compress(data: bytes) -> bytes:
    """The way RSCS and NJE38 send: runs of blanks and of other bytes folded."""
    out, literal, at = bytearray(), bytearray(), 0

    def flush() -> None:
        for start in range(0, len(literal), 63):
            piece = literal[start:start + 63]
            out.append(0xC0 | len(piece))
            out.extend(piece)
        literal.clear()

    while at < len(data):
        run = 1
        while at + run < len(data) and data[at + run] == data[at] and run < 31:
            run += 1
        if run >= 2 and data[at] == ebcdic.BLANK:
            flush()
            out.append(0x80 | run)
        elif run >= 3:
            flush()
            out.extend((0xA0 | run, data[at]))
        else:
            literal.extend(data[at:at + run])
        at += run
    flush()
    out.append(0)
    return bytes(out)


def scb_expand(data: bytes, at: int) -> tuple[bytes, int, bool]:
    """(expanded, offset behind the closing SCB, aborted)."""
    out = bytearray()
    while True:
        if at >= len(data):
            raise WireError("record without a closing SCB")
        scb = data[at]
        at += 1
        if scb == 0:
            return bytes(out), at, False
        if scb == 0x40:
            return bytes(out), at, True
        if scb & 0xC0 == 0xC0:
            count = scb & 0x3F
            if at + count > len(data):
                raise WireError("literal runs over the buffer's end")
            out += data[at:at + count]
            at += count
        elif scb & 0xE0 == 0x80:
            out += b"\x40" * (scb & 0x1F)
        elif scb & 0xE0 == 0xA0:
            if at >= len(data):
                raise WireError("repeated byte missing")
            out += data[at:at + 1] * (scb & 0x1F)
            at += 1
        else:
            raise WireError(f"SCB {scb:02X}")


# --- NJE buffer ---


@dataclass
class Record:
    """One record of a buffer. `empty`: SCB 00 came first (EOF, or a bare control record)."""
    rcb: int
    srcb: int
    data: bytes = b""
    aborted: bool = False

    @property
    def empty(self) -> bool:
        return not self.data and not self.aborted


@dataclass
class Buffer:
    bcb: int
    fcs: bytes
    records: list[Record] = field(default_factory=list)


def is_buffer(payload: bytes) -> bool:
    return payload[:2] == STX


def parse_buffer(payload: bytes) -> Buffer:
    if len(payload) < 5 or not is_buffer(payload):
        raise WireError(f"not an NJE buffer: {payload[:8].hex()}")
    buffer, at = Buffer(payload[2], payload[3:5]), 5
    while at < len(payload) and payload[at] != 0:
        if at + 2 > len(payload):
            raise WireError("RCB without SRCB")
        rcb, srcb = payload[at], payload[at + 1]
        at += 2
        if rcb == RCB_GENERAL:  # copied raw to the end of the buffer
            buffer.records.append(Record(rcb, srcb, payload[at:]))
            return buffer
        if rcb == RCB_BCB_ERROR:
            buffer.records.append(Record(rcb, srcb))
            return buffer
        if not known_rcb(rcb):
            raise WireError(f"RCB {rcb:02X}")
        data, at, aborted = scb_expand(payload, at)
        buffer.records.append(Record(rcb, srcb, data, aborted))
    return buffer


def known_rcb(rcb: int) -> bool:
    return rcb in (RCB_REQUEST, RCB_PERMIT, RCB_REFUSE, RCB_COMPLETE, RCB_READY, RCB_NMR) or is_stream(rcb)


def is_stream(rcb: int) -> bool:
    """SYSIN x8 or SYSOUT x9, streams 1 to 7."""
    return rcb & 0x0F in (8, 9) and 0x90 <= rcb <= 0xFF


def pack_buffer(bcb: int, fcs: bytes, body: bytes) -> bytes:
    """`body` is the records as they go on the wire; the closing RCB 00 is added."""
    return STX + bytes([bcb]) + fcs + body + b"\x00"


def pack_record(rcb: int, srcb: int, data: bytes, compress: bool) -> bytes:
    return bytes([rcb, srcb]) + (scb_compress(data) if compress else scb_literal(data))


# --- sign-on ---


@dataclass
class SignOn:
    kind: int
    node: str
    buffer: int = 8192
    resistance: int = 0
    event: bytes = bytes(4)
    feat: bytes = b"\x10\x00\x00\x00"
    declared: int = 0x29
    line_password: str = ""
    node_password: str = ""

    def pack(self) -> bytes:
        body = (bytes([RCB_GENERAL, self.kind, self.declared]) + ebcdic.name(self.node) + b"\x01" + self.event
                + struct.pack(">HH", self.resistance, self.buffer) + ebcdic.name(self.line_password)
                + ebcdic.name(self.node_password) + b"\x00" + self.feat)
        return body

    @staticmethod
    def unpack(record: Record) -> "SignOn":
        data = bytes([record.rcb, record.srcb]) + record.data
        if len(data) < 37:
            raise WireError(f"sign-on record of {len(data)} bytes")
        resistance, buffer = struct.unpack_from(">HH", data, 16)
        return SignOn(record.srcb, ebcdic.plain(data[3:11]), buffer, resistance, data[12:16], data[37:41].ljust(4, b"\0"),
                      data[2], ebcdic.plain(data[20:28]), ebcdic.plain(data[28:36]))
