"""NJE job, data set and trailer headers, spool files, and nodal messages (NMR).

Independent of the connector: offsets are those of SA32-0988 and of the RSCS and UnixNJE sources.
"""

import struct
import time
from dataclasses import dataclass, field

from . import ebcdic
from .wire import SRCB_DSH, SRCB_NJH, SRCB_NJT, WireError

EPOCH_1900_US = 2208988800 * 1_000_000
PUNCH, PRINT = 0x40, 0x80


def stck(unix_seconds: float) -> int:
    """System/370 clock value: bit 51 is a microsecond, counted from 1900."""
    return (int(unix_seconds * 1_000_000) + EPOCH_1900_US) << 12


def stck_unix(value: int) -> float:
    return ((value >> 12) - EPOCH_1900_US) / 1_000_000


# --- segments and sections ---


def segments(sections: bytes, limit: int = 253) -> list[bytes]:
    """A header as transmission segments, each with its 4-byte prefix."""
    room = limit - 4
    pieces = [sections[at:at + room] for at in range(0, len(sections), room)]
    last = len(pieces) - 1
    return [struct.pack(">HBB", 4 + len(p), 0, (0 if n == last else 0x80) | n) + p for n, p in enumerate(pieces)]


class Joiner:
    """Puts the segments of one header together again."""

    def __init__(self) -> None:
        self.body = b""
        self.expected = 0

    def add(self, segment: bytes) -> bytes | None:
        """The whole header (sections only) once its last segment has come."""
        if len(segment) < 4:
            raise WireError("header segment shorter than its prefix")
        length, _, sequence = struct.unpack_from(">HBB", segment, 0)
        if length != len(segment):
            raise WireError(f"header segment says {length}, has {len(segment)} bytes")
        if sequence & 0x7F != self.expected:
            raise WireError(f"header segment {sequence & 0x7F}, expected {self.expected}")
        self.body += segment[4:]
        self.expected += 1
        if sequence & 0x80:
            return None
        body, self.body, self.expected = self.body, b"", 0
        return body


def sections(header: bytes) -> dict[tuple[int, int], bytes]:
    """(type, modifier) -> section, its own LEN/TYPE/MOD included."""
    found, at = {}, 0
    while at < len(header):
        if at + 4 > len(header):
            raise WireError("section head cut short")
        length, kind, modifier = struct.unpack_from(">HBB", header, at)
        if length < 4 or at + length > len(header):
            raise WireError(f"section of {length} bytes does not fit")
        found.setdefault((kind, modifier), header[at:at + length])
        at += length
    return found


# --- job header ---


@dataclass
class Job:
    origin: tuple[str, str]
    job_id: int = 1
    entry: int = 0
    name: str = ""
    job_class: str = "A"
    message_class: str = "A"
    flags: int = 0
    hops: int = 0
    records: int = 0

    def build(self) -> bytes:
        node, user = self.origin
        out = bytearray(200)
        out[:] = b"\x00" * 200
        struct.pack_into(">HBBH", out, 0, 200, 0, 0, self.job_id)
        out[6:8] = ebcdic.encode(self.job_class + self.message_class)
        out[8:12] = bytes([self.flags, 7, 1, 1])
        struct.pack_into(">H", out, 14, self.hops)
        out[16:24] = b"\x40" * 8
        out[24:32] = ebcdic.name(self.name or user)
        out[32:40] = ebcdic.name(user)
        out[40:56] = b"\x40" * 16
        struct.pack_into(">Q", out, 56, self.entry)
        for at in (64, 80, 96, 112):
            out[at:at + 8] = ebcdic.name(node)
            out[at + 8:at + 16] = ebcdic.name(user)
        out[128:136] = b"\x40" * 8
        out[152:196] = b"\x40" * 44
        struct.pack_into(">I", out, 196, self.records)
        return bytes(out)

    @staticmethod
    def parse(header: bytes) -> "Job":
        general = sections(header).get((0, 0))
        if general is None or len(general) < 200:
            raise WireError("job header without a general section")
        return Job((ebcdic.plain(general[64:72]), ebcdic.plain(general[72:80])), struct.unpack_from(">H", general, 4)[0],
                   struct.unpack_from(">Q", general, 56)[0], ebcdic.plain(general[24:32]), ebcdic.decode(general[6:7]),
                   ebcdic.decode(general[7:8]), general[8], struct.unpack_from(">H", general, 14)[0],
                   struct.unpack_from(">I", general, 196)[0])


# --- data set header ---


@dataclass
class Dataset:
    dest: tuple[str, str]
    fn: str = ""
    ft: str = ""
    cls: str = "A"
    form: str = "STANDARD"
    dist: str = ""
    lrecl: int = 80
    recfm: int = 0x80
    medium: int = PUNCH
    records: int = 0
    tag: str = ""
    number: int = 1
    flags: int = 0
    rscs: bool = True
    xwtr: str | None = None

    def build(self) -> bytes:
        node, user = self.dest
        out = bytearray(112)
        struct.pack_into(">HBB", out, 0, 112, 0, 0)
        out[4:12] = ebcdic.name(node)
        out[12:20] = ebcdic.name(user)
        out[20:28] = ebcdic.name(self.fn)
        out[28:36] = ebcdic.name(self.ft)
        out[36:44] = b"\x40" * 8
        struct.pack_into(">H", out, 44, self.number)
        out[47] = ebcdic.encode(self.cls)[0]
        struct.pack_into(">I", out, 48, self.records)
        out[53] = self.recfm
        struct.pack_into(">H", out, 54, self.lrecl)
        out[56] = 1
        out[60:68] = ebcdic.name(self.form)
        out[68:84] = b"\x40" * 16
        xwtr = self.xwtr if self.xwtr is not None else (user if self.medium == PUNCH else "")
        out[84:92] = ebcdic.name(xwtr) if xwtr else bytes(8)
        out[100] = self.medium
        out[104:112] = b"\x40" * 8
        if not self.rscs:
            return bytes(out)
        part = bytearray(180)
        struct.pack_into(">HBB", part, 0, 180, 0x87, 0)
        part[4] = self.flags
        part[5] = ebcdic.encode(self.cls)[0]
        part[6] = 0x82 if self.medium == PUNCH else 0x41
        part[8:16] = ebcdic.name(self.dist)
        part[16:28] = ebcdic.name(self.fn, 12)
        part[28:40] = ebcdic.name(self.ft, 12)
        struct.pack_into(">H", part, 40, 50)
        part[42:44] = b"\x02\x01"
        part[44:180] = ebcdic.encode((self.tag or f"{node:8} {user:8} 50").ljust(136)[:136])
        return bytes(out + part)

    @staticmethod
    def parse(header: bytes) -> "Dataset":
        found = sections(header)
        general = found.get((0, 0))
        if general is None or len(general) < 100:
            raise WireError("data set header without a general section")
        user = ebcdic.plain(general[12:20]) or ebcdic.plain(general[84:92])
        made = Dataset((ebcdic.plain(general[4:12]), user), ebcdic.plain(general[20:28]), ebcdic.plain(general[28:36]),
                       ebcdic.decode(general[47:48]), ebcdic.plain(general[60:68]), "",
                       struct.unpack_from(">H", general, 54)[0], general[53], general[100] if len(general) > 100 else PUNCH,
                       struct.unpack_from(">I", general, 48)[0], "", struct.unpack_from(">H", general, 44)[0], general[52],
                       False, ebcdic.plain(general[84:92]))
        part = found.get((0x87, 0))
        if part is not None and len(part) >= 44:
            made.rscs = True
            made.flags = part[4]
            made.cls = ebcdic.decode(part[5:6])
            made.dist = ebcdic.plain(part[8:16])
            made.fn, made.ft = ebcdic.plain(part[16:28]), ebcdic.plain(part[28:40])
            made.tag = ebcdic.decode(part[44:180]).rstrip()
            if part[6]:
                made.medium = PUNCH if part[6] == 0x82 else PRINT
        return made


# --- job trailer ---


@dataclass
class Trailer:
    lines: int = 0
    cards: int = 0

    def build(self) -> bytes:
        out = bytearray(44)
        struct.pack_into(">HBB", out, 0, 44, 0, 0)
        out[5] = 0xC1
        struct.pack_into(">II", out, 28, self.lines, self.cards)
        return bytes(out)

    @staticmethod
    def parse(header: bytes) -> "Trailer":
        general = sections(header).get((0, 0))
        if general is None or len(general) < 36:
            raise WireError("job trailer without a general section")
        return Trailer(*struct.unpack_from(">II", general, 28))


# --- data records ---


def data_record(data: bytes, lrecl: int = 80) -> bytes:
    """One punch card as it travels: LEN, data with trailing blanks cut."""
    return bytes([max(lrecl, len(data))]) + data.rstrip(b"\x40")


def data_unpack(srcb: int, record: bytes) -> tuple[int | None, bytes]:
    """(carriage control or None, data padded to the stated length). Unspanned records only."""
    if not record:
        raise WireError("data record without a length byte")
    length, rest = record[0], record[1:]
    if srcb & 0x30 in (0x10, 0x20):
        if not rest:
            raise WireError("data record without its carriage control")
        return rest[0], rest[1:1 + length]
    return None, rest[:length].ljust(length, b"\x40")


@dataclass
class SpoolFile:
    """A file as its records came: (SRCB, bytes), headers not yet joined."""
    wire: list[tuple[int, bytes]] = field(default_factory=list)
    job: Job | None = None
    datasets: list[Dataset] = field(default_factory=list)
    trailer: Trailer | None = None
    records: list[bytes] = field(default_factory=list)
    carriage: list[int | None] = field(default_factory=list)
    stream: int = 1
    sysin: bool = False

    def add(self, srcb: int, data: bytes, joiner: Joiner) -> None:
        """Takes the next record in. Raises WireError where a real host would give the file up."""
        self.wire.append((srcb, data))
        if srcb in (SRCB_NJH, SRCB_DSH, SRCB_NJT):
            whole = joiner.add(data)
            if whole is None:
                return
            if srcb == SRCB_NJH:
                self.job = Job.parse(whole)
            elif srcb == SRCB_DSH:
                self.datasets.append(Dataset.parse(whole))
            else:
                self.trailer = Trailer.parse(whole)
            return
        if srcb & 0xC0 != 0x80:
            raise WireError(f"SRCB {srcb:02X} on a stream")
        control, text = data_unpack(srcb, data)
        self.carriage.append(control)
        self.records.append(text)

    @property
    def dataset(self) -> Dataset:
        return self.datasets[0]

    def lines(self) -> list[str]:
        return [ebcdic.decode(r).rstrip() for r in self.records]

    def cards(self) -> bytes:
        """The punch deck as one string of 80-byte cards."""
        return b"".join(r.ljust(80, b"\x40") for r in self.records)


def spool_read(data: bytes) -> tuple[list[str], SpoolFile]:
    """A UnixNJE spool file: text lines up to `END:`, then u16 length (of SRCB and bytes), SRCB, bytes."""
    head, _, body = data.partition(b"END:\n")
    lines = [line.decode("latin-1") for line in head.split(b"\n") if line.strip()]
    found, joiner, at = SpoolFile(), Joiner(), 0
    while at < len(body):
        length = struct.unpack_from(">H", body, at)[0] if at + 2 <= len(body) else 0
        if length < 1 or at + 2 + length > len(body):
            raise WireError(f"spool record at {at} does not fit")
        srcb, data = body[at + 2], body[at + 3:at + 2 + length]
        if data:  # an empty record is the EOF
            found.add(srcb, data, joiner)
        at += 2 + length
    return lines, found


# --- nodal message records ---


@dataclass
class Message:
    to: tuple[str, str]
    origin: tuple[str, str]
    text: str
    command: bool = False

    def build(self) -> bytes:
        to_node, to_user = self.to
        from_node, from_user = self.origin
        text = ebcdic.encode(self.text)
        if self.command:
            flag, kind, out, body = (0xA0 if from_user else 0x80), 0x00, from_user, text
        elif from_user:
            flag, kind, out, body = 0x20, 0x0C, to_user, ebcdic.name(from_user) + text
        else:
            flag, kind, out, body = (0x20 if to_user else 0x00), 0x04, to_user, text
        return (bytes([flag, 0x77, kind, len(body)]) + ebcdic.name(to_node) + b"\x00" + ebcdic.name(out)
                + ebcdic.name(from_node) + b"\x00" + body)

    @staticmethod
    def parse(data: bytes) -> "Message":
        if len(data) < 30:
            raise WireError(f"NMR of {len(data)} bytes")
        flag, kind, length = data[0], data[2], data[3]
        body = data[30:30 + length]
        if len(body) < length:
            raise WireError(f"NMR text of {len(body)} bytes, {length} stated")
        user, command = ebcdic.plain(data[13:21]), bool(flag & 0x80)
        sender = ""
        if command:
            sender, user = user, ""
        elif kind & 0x08:
            start = 0 if kind & 0x04 else 8
            sender, body = ebcdic.plain(body[start:start + 8]), body[start + 8:]
        return Message((ebcdic.plain(data[4:12]), user), (ebcdic.plain(data[21:29]), sender), ebcdic.decode(body), command)


def now_stck() -> int:
    return stck(time.time())
