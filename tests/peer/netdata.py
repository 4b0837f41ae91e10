"""NETDATA for the tests: an encoder and a decoder of their own, and notes in CMS form.

Facts: NETDATA (Palmer & O'Hara 1981), TSO/E Customization, and the bytes of a real CMS NOTE.
"""

import struct
from dataclasses import dataclass, field
from datetime import datetime

from . import ebcdic

FIRST, LAST, CONTROL = 0x80, 0x40, 0x20

KEYS = {
    0x0001: "INMDDNAM", 0x0002: "INMDSNAM", 0x0003: "INMMEMBR", 0x000B: "INMSECND", 0x000C: "INMDIR", 0x0022: "INMEXPDT",
    0x0028: "INMTERM", 0x0030: "INMBLKSZ", 0x003C: "INMDSORG", 0x0042: "INMLRECL", 0x0049: "INMRECFM", 0x1001: "INMTNODE",
    0x1002: "INMTUID", 0x1011: "INMFNODE", 0x1012: "INMFUID", 0x1020: "INMLREF", 0x1021: "INMLCHG", 0x1022: "INMCREAT",
    0x1023: "INMFVERS", 0x1024: "INMFTIME", 0x1025: "INMTTIME", 0x1026: "INMFACK", 0x1027: "INMERRCD", 0x1028: "INMUTILN",
    0x1029: "INMUSERP", 0x102A: "INMRECCT", 0x102C: "INMSIZE", 0x102D: "INMFFM", 0x102F: "INMNUMF", 0x8012: "INMTYPE",
    0x8018: "INMLSIZE", 0x8028: "INMEATTR",
}
NAMES = {name: key for key, name in KEYS.items()}
TEXT = {"INMDDNAM", "INMDSNAM", "INMMEMBR", "INMEXPDT", "INMTNODE", "INMTUID", "INMFNODE", "INMFUID", "INMLREF", "INMLCHG",
        "INMCREAT", "INMFTIME", "INMTTIME", "INMERRCD", "INMUTILN", "INMUSERP", "INMFFM"}


class NetdataError(Exception):
    """Not NETDATA, or not all of it."""


@dataclass
class ControlRecord:
    """INMR01 … INMR07. `units`: name (or hex key) -> values as they came, in order."""
    kind: str
    file: int | None
    units: list[tuple[str, list[bytes]]]
    offset: int = 0

    def values(self, name: str) -> list[bytes] | None:
        """The values of a text unit; None where it is absent (empty and absent differ)."""
        for key, values in self.units:
            if key == name:
                return values
        return None

    def text(self, name: str) -> str:
        return "".join(ebcdic.decode(v) for v in self.values(name) or [])

    def number(self, name: str) -> int | None:
        values = self.values(name)
        return int.from_bytes(values[0], "big") if values else None


@dataclass
class Transmission:
    controls: list[ControlRecord] = field(default_factory=list)
    files: list[list[bytes]] = field(default_factory=list)
    complete: bool = False

    def control(self, kind: str, which: int = 0) -> ControlRecord | None:
        found = [c for c in self.controls if c.kind == kind]
        return found[which] if which < len(found) else None

    @property
    def is_note(self) -> bool:
        second = self.control("INMR02")
        return second is not None and second.values("INMTERM") is not None

    def lines(self, which: int = 0) -> list[str]:
        return [ebcdic.decode(r).rstrip() for r in self.files[which]]


# --- decoding ---


def is_netdata(cards: bytes) -> bool:
    return len(cards) > 8 and cards[1] & CONTROL != 0 and cards[2:8] == ebcdic.encode("INMR01")


def decode(stream: bytes) -> Transmission:
    """A card deck or a TRANSMIT file. Raises NetdataError where it is not NETDATA; a stream that ends before INMR06
    gives what was there, with complete = False."""
    if not is_netdata(stream):
        raise NetdataError("no INMR01")
    found, at = Transmission(), 0
    current: bytearray | None = None
    control = False
    start = 0
    while at < len(stream):
        if at + 1 < len(stream) and stream[at + 1] == 0xF0:  # UnixNJE: record number, two bytes whatever LEN says
            at += 2
            continue
        length = stream[at]
        if length < 2 or at + length > len(stream):
            return found
        flags, data = stream[at + 1], stream[at + 2:at + length]
        if flags & FIRST:
            current, control, start = bytearray(), bool(flags & CONTROL), at
        if current is None:
            raise NetdataError(f"segment at {at} continues nothing")
        current += data
        at += length
        if not flags & LAST:
            continue
        record, current = bytes(current), None
        if not control:
            if not found.files:
                raise NetdataError("data before INMR03")
            found.files[-1].append(record)
            continue
        made = _control(record, start)
        found.controls.append(made)
        if made.kind == "INMR03":
            found.files.append([])
        elif made.kind == "INMR06":
            found.complete = True
            return found
    return found


def _control(record: bytes, offset: int) -> ControlRecord:
    kind, at, number = ebcdic.decode(record[:6]), 6, None
    if kind == "INMR02":
        if len(record) < 10:
            raise NetdataError("INMR02 without a file number")
        number, at = struct.unpack_from(">I", record, 6)[0], 10
    units = []
    while at + 4 <= len(record):
        key, count = struct.unpack_from(">HH", record, at)
        at += 4
        values = []
        for _ in range(count):
            if at + 2 > len(record):
                raise NetdataError(f"{kind}: text unit {key:04X} cut short")
            length = struct.unpack_from(">H", record, at)[0]
            if at + 2 + length > len(record):
                raise NetdataError(f"{kind}: value of {key:04X} longer than the record")
            values.append(record[at + 2:at + 2 + length])
            at += 2 + length
        units.append((KEYS.get(key, f"{key:04X}"), values))
    return ControlRecord(kind, number, units, offset)


# --- encoding ---


def unit(name: str, *values: str | bytes | tuple[int, int]) -> bytes:
    """A text unit. Values: text, bytes as they are, or (number, width)."""
    out = struct.pack(">HH", NAMES[name], len(values))
    for value in values:
        raw = ebcdic.encode(value) if isinstance(value, str) else \
            value[0].to_bytes(value[1], "big") if isinstance(value, tuple) else value
        out += struct.pack(">H", len(raw)) + raw
    return out


def record(data: bytes, control: bool = False) -> bytes:
    """One logical record as segments of at most 255 bytes."""
    pieces = [data[at:at + 253] for at in range(0, len(data), 253)] or [b""]
    out = b""
    for number, piece in enumerate(pieces):
        flags = (FIRST if number == 0 else 0) | (LAST if number == len(pieces) - 1 else 0) | (CONTROL if control else 0)
        out += bytes([len(piece) + 2, flags]) + piece
    return out


def control(kind: str, *units: bytes, file: int | None = None) -> bytes:
    head = ebcdic.encode(kind) + (struct.pack(">I", file) if file is not None else b"")
    return record(head + b"".join(units), control=True)


def cards(stream: bytes, pad: int = 0x00) -> list[bytes]:
    """The stream as 80-byte punch cards, the last one padded."""
    return [stream[at:at + 80].ljust(80, bytes([pad])) for at in range(0, len(stream), 80)]


def note(lines: list[str], *, origin: tuple[str, str], to: tuple[str, str], when: datetime, ack: str | None = None) -> bytes:
    """A note as CMS NOTE sends it. Empty lines become one blank, as CMS does. `ack`: ask for an acknowledgement."""
    stamp = when.strftime("%Y%m%d%H%M%S") + f"{when.microsecond:06d}"
    first = [unit("INMLRECL", (80, 2)), unit("INMFNODE", origin[0]), unit("INMFUID", origin[1]), unit("INMTNODE", to[0]),
             unit("INMTUID", to[1]), unit("INMFTIME", stamp), unit("INMNUMF", (1, 4))]
    if ack is not None:
        first.append(unit("INMFACK", ack) if ack else unit("INMFACK"))
    out = control("INMR01", *first)
    out += control("INMR02", unit("INMSIZE", (0, 8)), unit("INMDSORG", b"\x40\x00"), unit("INMLRECL", (132, 4)),
                   unit("INMUTILN", "INMCOPY"), unit("INMRECFM", b"\x00\x02"), unit("INMTERM"), file=1)
    out += control("INMR03", unit("INMSIZE", (0, 8)), unit("INMDSORG", b"\x40\x00"), unit("INMLRECL", (80, 4)),
                   unit("INMRECFM", b"\x00\x01"))
    for line in lines:
        out += record(ebcdic.encode(line or " "))
    return out + control("INMR06")


def cms_note(text: list[str], *, origin: tuple[str, str], to: tuple[str, str], when: datetime,
             subject: str | None = None, ack: str | None = None) -> list[bytes]:
    """Punch cards of a CMS note: the header lines as CMS writes them, a blank line, the text."""
    lines = [f"Date: {when.day} {when.strftime('%B %y, %H:%M:%S')} GMT", f"From: {origin[1]:8} at {origin[0]}",
             f"To:   {to[1]} at {to[0]}"]
    if subject is not None:
        lines.append(f"Subject: {subject}")
    return cards(note([*lines, "", *text], origin=origin, to=to, when=when, ack=ack))
