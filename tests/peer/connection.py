"""One NJE/TCP connection of the test node: the set-up, the buffers both ways, the streams.

A thread reads; sender threads (one a stream) wait here for permission and acknowledgement. Every wait has a limit.
What the connector does against the protocol without breaking the connection is noted in `node.violations`.
"""

import select
import socket
import ssl
import struct
import threading
import time
from typing import TYPE_CHECKING, Callable

from . import wire
from .headers import Joiner, Message, SpoolFile
from .wire import Buffer, Control, Record, SignOn, WireError

if TYPE_CHECKING:
    from .nje import Node

READ_SIZE = 65536
RECORD_MAX = 256  # VM/370 RSCS ends the link over a longer record
SIGN_ON_LIMIT = 30.0


class Dropped(Exception):
    """The connection is gone, or this node gave it up on purpose."""


class Connection:
    def __init__(self, node: "Node", sock: socket.socket, dialled: bool) -> None:
        self.node, self.sock, self.dialled = node, sock, dialled
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.changed = threading.Condition(threading.RLock())
        self.sending_lock = threading.RLock()
        self.blocks = wire.BlockReader()
        self.payloads: list[bytes] = []
        self.sent_bcb, self.expected_bcb = 0, 0
        self.fcs = wire.FCS_NORMAL
        self.own_fcs = wire.FCS_NORMAL
        self.buffer = node.quirks.buffer
        self.up = self.closed = self.mute = False
        self.permits: dict[int, bool] = {}  # stream RCB -> granted (True) or refused (False)
        self.completes: set[int] = set()
        self.outgoing: set[int] = set()  # streams on which a file of ours is under way
        self.incoming: dict[int, tuple[SpoolFile, Joiner]] = {}
        self.withheld: list[int] = []
        self.cancelling: set[int] = set()  # streams whose file this node cancelled, until the other side's answer
        self.peer_signon: SignOn | None = None

    # --- life ---

    def run(self) -> None:
        """Thread body: signs on, then reads until the end."""
        try:
            if self.node.quirks.tls == "implicit":
                self._encrypt()
            self._set_up()
            if self.node.quirks.tls == "starttls":
                self._encrypt()
            self._sign_on()
            with self.changed:
                self.up = True
                self.changed.notify_all()
            self.node.came_up(self)
            self.moment("up")
            while True:
                self._payload(self.next_payload(None))
        except Dropped as why:
            self.node.note("dropped", str(why))
        except (WireError, UnicodeError) as why:
            self.node.violations.append(f"connection ended: {why}")
        except OSError as why:
            self.node.note("dropped", str(why))
        finally:
            self.close()
            self.node.went_down(self)

    def close(self, reset: bool = False) -> None:
        """FIN, or RST where asked. May be called from any thread, more than once."""
        with self.changed:
            if self.closed:
                return
            self.closed, self.up = True, False
            self.changed.notify_all()
        try:
            if reset:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def moment(self, name: str) -> None:
        """A named moment: tests hang their misbehaviour here."""
        self.node.run_hooks(name, self)
        if self.closed:
            raise Dropped(f"at {name}")

    def wait_for(self, ready: Callable[[], bool], limit: float) -> bool:
        """Waits for a change seen by the reading thread. Dropped when the connection ends first."""
        with self.changed:
            done = self.changed.wait_for(lambda: self.closed or ready(), limit)
            if self.closed:
                raise Dropped("connection closed")
            return done

    # --- bytes ---

    def _read_some(self, deadline: float | None) -> bytes:
        while True:
            if self.closed:
                raise Dropped("closed here")
            if deadline is not None and time.monotonic() > deadline:
                raise Dropped("nothing came within the limit")
            rate = self.node.quirks.read_rate
            if rate and not self.node.closing.wait(0.05):
                pass  # a slow reader: 20 small reads a second
            try:
                encrypted = isinstance(self.sock, ssl.SSLSocket)
                if not (encrypted and self.sock.pending()) and not select.select([self.sock], [], [], 0.1)[0]:
                    continue
                size = max(1, rate // 20) if rate else READ_SIZE
                if encrypted:
                    with self.sending_lock:  # one OpenSSL object, one thread at a time
                        data = self.sock.recv(size)
                else:
                    data = self.sock.recv(size)
            except (OSError, ValueError) as why:
                raise Dropped(str(why)) from None
            if not data:
                raise Dropped("closed by the other side")
            return data

    def read_exactly(self, count: int, limit: float) -> bytes:
        deadline = time.monotonic() + limit
        while len(self.blocks.pending) < count:
            self.blocks.pending += self._read_some(deadline)
        data, self.blocks.pending = self.blocks.pending[:count], self.blocks.pending[count:]
        return data

    def next_payload(self, limit: float | None) -> bytes:
        deadline = None if limit is None else time.monotonic() + limit
        if not self.payloads:
            self._take_blocks(self.blocks.feed(b""))
        while not self.payloads:
            self._take_blocks(self.blocks.feed(self._read_some(deadline)))
        return self.payloads.pop(0)

    def _take_blocks(self, blocks: list[list[bytes]]) -> None:
        for records in blocks:
            size = 12 + sum(4 + len(r) for r in records)
            if size > 8192 and self.up:
                self.node.violations.append(f"TCP block of {size} bytes, 8192 is the default limit")
            self.payloads.extend(records)

    def send_raw(self, data: bytes) -> None:
        """Bytes as they are, unless this node has fallen silent."""
        if self.mute:
            return
        try:
            with self.sending_lock:
                self.sock.sendall(data)
        except (OSError, ValueError) as why:
            raise Dropped(str(why)) from None

    def send_payload(self, payload: bytes) -> None:
        self.send_raw(wire.block([payload]))

    def send_buffer(self, body: bytes, reset: bool = False) -> None:
        """One NJE buffer with the next BCB (or a reset to 0)."""
        with self.sending_lock:
            if reset:
                bcb, self.sent_bcb = 0xA0, 0
            else:
                bcb, self.sent_bcb = 0x80 | self.sent_bcb, (self.sent_bcb + 1) & 15
            self.send_payload(wire.pack_buffer(bcb, self.own_fcs, body))

    def send_control(self, rcb: int, srcb: int) -> None:
        self.send_buffer(bytes([rcb, srcb, 0]))

    # --- set-up and sign-on ---

    def _encrypt(self) -> None:
        """The TLS handshake; the dialler is the client."""
        quirks = self.node.quirks
        assert quirks.tls_context
        self.sock = quirks.tls_context.wrap_socket(self.sock, server_side=not self.dialled,
                                                   server_hostname=quirks.tls_name if self.dialled else None)
        self.node.note("tls", self.sock.version())

    def _set_up(self) -> None:
        node = self.node
        if self.dialled:
            self.moment("before:OPEN")
            kind = "OPEN SSL" if node.quirks.tls == "starttls" else "OPEN"
            self.send_raw(Control(kind, node.name, node.peer, self._address(False), self._address(True)).pack())
            self.moment("after:OPEN")
            answer = Control.unpack(self.read_exactly(wire.CONTROL_SIZE, SIGN_ON_LIMIT))
            if answer.kind != "ACK":
                node.note("nak", str(answer.reason))
                raise Dropped(f"{answer.kind} {answer.reason}")
            if (answer.rhost, answer.ohost) != (node.peer, node.name):
                node.violations.append(f"ACK names {answer.rhost}/{answer.ohost}")
            return
        request = Control.unpack(self.read_exactly(wire.CONTROL_SIZE, SIGN_ON_LIMIT))
        node.note("open", f"{request.rhost} {request.ohost}")
        self.moment("recv:OPEN")
        answer = Control("ACK", request.ohost, request.rhost, request.oip, request.rip)
        kind = "OPEN SSL" if node.quirks.tls == "starttls" else "OPEN"
        if request.kind != kind or request.ohost != node.name or request.rhost != node.peer:
            answer.kind, answer.reason = "NAK", 1
        elif node.quirks.nak:
            answer.kind, answer.reason = "NAK", node.quirks.nak
        self.moment("before:ACK")
        self.send_raw(answer.pack())
        if answer.kind == "NAK":
            raise Dropped(f"NAK {answer.reason} sent")
        self.moment("after:ACK")

    def _address(self, other: bool) -> bytes:
        host = (self.sock.getpeername() if other else self.sock.getsockname())[0]
        try:
            return socket.inet_aton(host)
        except OSError:
            return b"\x7f\x00\x00\x01"

    def _sign_on(self) -> None:
        pad = b"\xff" if self.node.quirks.pad else b""
        primary = self.dialled
        if self.dialled and self.node.quirks.secondary:
            self.send_payload(wire.SYN_NAK)
            primary = False
        elif not self.dialled:
            first = self._handshake_payload()
            primary = first[:2] == wire.SYN_NAK or first[:1] == wire.NAK
            if not primary and first[:2] != wire.ENQ:
                raise WireError(f"expected SOH ENQ, got {first.hex()}")
        if primary:
            self.moment("before:ENQ")
            self.send_payload(wire.ENQ + pad)
            answer = self._handshake_payload()
            if answer[:2] != wire.ACK0:
                raise WireError(f"expected DLE ACK0, got {answer.hex()}")
            self.moment("before:I")
            self._send_signon(wire.SRCB_I)
            self.moment("after:I")
            self._take_signon(self._signon_record(), wire.SRCB_J)
            self.send_payload(wire.ACK0 + pad)
            return
        if self.dialled:
            first = self._handshake_payload()
            if first[:2] != wire.ENQ:
                raise WireError(f"expected SOH ENQ, got {first.hex()}")
        self.moment("before:ACK0")
        self.send_payload(wire.ACK0 + pad)
        self._take_signon(self._signon_record(), wire.SRCB_I)
        self.moment("before:J")
        self._send_signon(wire.SRCB_J)
        self.moment("after:J")

    def _handshake_payload(self) -> bytes:
        return self.next_payload(SIGN_ON_LIMIT)

    def _signon_record(self) -> Record:
        while True:
            payload = self._handshake_payload()
            if payload[:2] in (wire.ACK0, wire.ENQ):
                continue
            buffer = wire.parse_buffer(payload)
            self._check_bcb(buffer)
            if buffer.records:
                if len(buffer.records) > 1:
                    self.node.violations.append("I or J is not alone in its buffer")
                return buffer.records[0]

    def _send_signon(self, kind: int) -> None:
        quirks = self.node.quirks
        mine = SignOn(kind, self.node.name, self.buffer, feat=quirks.feat, declared=quirks.declared,
                      line_password=quirks.line_password, node_password=quirks.node_password)
        if kind == wire.SRCB_J:
            mine.event = b"\xff" * 4
        self.send_buffer(mine.pack(), reset=quirks.reset_bcb)

    def _take_signon(self, record: Record, kind: int) -> None:
        if record.rcb == wire.RCB_GENERAL and record.srcb == wire.SRCB_B:
            raise Dropped("sign-off instead of sign-on")
        if (record.rcb, record.srcb) != (wire.RCB_GENERAL, kind):
            raise WireError(f"expected F0 {kind:02X}, got {record.rcb:02X} {record.srcb:02X}")
        theirs = SignOn.unpack(record)
        if theirs.node != self.node.peer:
            raise WireError(f"sign-on of {theirs.node}, expected {self.node.peer}")
        if not 300 <= theirs.buffer < 32768:
            self.node.violations.append(f"NCCIBFSZ {theirs.buffer}")
        if theirs.feat[0] & 0x80:
            self.node.violations.append("PREPARE asked for")
        self.buffer = min(self.buffer, theirs.buffer)
        self.peer_signon = theirs

    # --- reading ---

    def _check_bcb(self, buffer: Buffer) -> bool:
        """False for a duplicate, which is to be discarded."""
        if buffer.fcs[0] & 0x80 == 0 or buffer.fcs[1] & 0x80 == 0:
            self.node.violations.append(f"FCS {buffer.fcs.hex()}: bit 80 must be on")
        kind, count = buffer.bcb & 0xF0, buffer.bcb & 0x0F
        if kind == 0x80:
            if count == self.expected_bcb:
                self.expected_bcb = (count + 1) & 15
            elif (self.expected_bcb - count) & 15 <= 3:
                return False
            else:
                raise WireError(f"BCB {buffer.bcb:02X}, expected {0x80 | self.expected_bcb:02X}")
        elif kind == 0xA0:
            self.expected_bcb = count
        elif kind != 0x90:
            raise WireError(f"BCB {buffer.bcb:02X}")
        with self.changed:
            self.fcs = buffer.fcs
            self.changed.notify_all()
        return True

    def _payload(self, payload: bytes) -> None:
        if not wire.is_buffer(payload):
            if payload[:2] == wire.ENQ:
                raise Dropped("SOH ENQ while active: the other side began anew")
            return
        if len(payload) > self.buffer:
            self.node.violations.append(f"buffer of {len(payload)} bytes, {self.buffer} agreed")
        buffer = wire.parse_buffer(payload)
        if not self._check_bcb(buffer):
            return
        if len({r.rcb for r in buffer.records if r.rcb != wire.RCB_GENERAL}) > 1:
            self.node.violations.append("records of different streams in one buffer")
        for record in buffer.records:
            if len(record.data) > RECORD_MAX:
                self.node.violations.append(f"record of {len(record.data)} bytes")
            if record.srcb in (wire.SRCB_NJH, wire.SRCB_DSH, wire.SRCB_NJT) and wire.is_stream(record.rcb) \
                    and len(buffer.records) > 1:
                self.node.violations.append("a header is not alone in its buffer")
            self._record(record)

    def _record(self, record: Record) -> None:
        rcb, srcb = record.rcb, record.srcb
        if rcb == wire.RCB_NMR:
            message = Message.parse(record.data)
            self.node.take_message(message)
        elif wire.is_stream(rcb):
            self._stream_record(record)
        elif rcb == wire.RCB_REQUEST:
            self.moment("recv:90")
            if srcb in self.incoming:
                self.node.violations.append(f"90 for stream {srcb:02X}, which is already started")
            self.request(srcb)
        elif rcb in (wire.RCB_PERMIT, wire.RCB_REFUSE, wire.RCB_COMPLETE):
            self.moment(f"recv:{rcb:02X}")
            with self.changed:
                if rcb == wire.RCB_COMPLETE:
                    self.completes.add(srcb)
                else:
                    self.permits[srcb] = rcb == wire.RCB_PERMIT
                self.changed.notify_all()
        elif rcb == wire.RCB_GENERAL and srcb == wire.SRCB_B:
            self.node.note("sign-off", "received")
            raise Dropped("sign-off received")
        elif rcb == wire.RCB_BCB_ERROR:
            raise Dropped("BCB sequence error reported")

    def request(self, stream: int) -> None:
        """Answers a request to initiate as this node is minded to."""
        quirks = self.node.quirks
        if quirks.refuse:
            self.send_control(wire.RCB_REFUSE, stream)
        elif quirks.withhold:
            with self.changed:
                self.withheld.append(stream)
            self.node.note("withheld", f"{stream:02X}")
        else:
            self._permit(stream)

    def _permit(self, stream: int) -> None:
        self.incoming[stream] = (SpoolFile(stream=(stream >> 4) - 8, sysin=stream & 0x0F == 8), Joiner())
        self.send_control(wire.RCB_PERMIT, stream)

    def grant(self) -> int:
        """Gives the permissions that were withheld; how many."""
        with self.changed:
            streams, self.withheld = self.withheld, []
        for stream in streams:
            self._permit(stream)
        return len(streams)

    def cancel(self, stream: int) -> None:
        """Receiver cancel: takes nothing more of this file."""
        self.cancelling.add(stream)
        self.send_control(wire.RCB_REFUSE, stream)

    def _stream_record(self, record: Record) -> None:
        stream = record.rcb
        if stream in self.cancelling and stream in self.incoming:
            if record.aborted or record.srcb == 0x40 or record.empty:
                del self.incoming[stream]
                self.cancelling.discard(stream)
                self.node.note("cancelled", f"{stream:02X}")
            return
        if stream not in self.incoming:
            if record.empty or record.aborted or record.srcb == 0x40:
                return  # the confirmation of a cancel, or the answer to one of ours that came behind the end
            raise WireError(f"data on stream {stream:02X}, which was not started")
        spool, joiner = self.incoming[stream]
        if record.aborted or record.srcb == 0x40:
            del self.incoming[stream]
            self.node.note("cancelled", f"{stream:02X}")
            if stream not in self.outgoing:
                self.send_buffer(bytes([stream, 0x80, 0]))
            return
        if record.empty:
            del self.incoming[stream]
            self._complete(stream, spool)
            return
        kind = {wire.SRCB_NJH: "NJH", wire.SRCB_DSH: "DSH", wire.SRCB_NJT: "NJT"}.get(record.srcb)
        self.moment(f"recv:{kind}" if kind else f"recv:data:{len(spool.records)}")
        spool.add(record.srcb, record.data, joiner)

    def _complete(self, stream: int, spool: SpoolFile) -> None:
        self.moment("recv:EOF")  # a node that dies here has not taken the file
        if spool.trailer is None:
            self.node.note("discarded", "EOF before NJT")
            return
        if not spool.job or not spool.datasets or not spool.records:
            self.node.violations.append("a file without job header, data set header or data")
        self.node.take_file(spool)
        self.moment("before:C0")  # … and one that dies here has
        if not self.node.quirks.complete:
            return
        self.send_control(wire.RCB_COMPLETE, stream)
        self.node.note("acknowledged", spool)
        self.moment("after:C0")

    # --- sending ---

    def may_send(self, stream: int) -> bool:
        """What the other side's FCS allows now."""
        number = (stream >> 4) - 8
        if self.fcs[0] & 0x40:
            return False
        if stream & 0x0F == 9:
            masks = {1: (1, 0x01), 2: (1, 0x02), 3: (1, 0x04), 4: (1, 0x08), 5: (0, 0x01), 6: (0, 0x02), 7: (0, 0x04)}
        else:
            masks = {1: (0, 0x08), 2: (0, 0x04), 3: (0, 0x02), 4: (0, 0x01), 5: (1, 0x08), 6: (1, 0x04), 7: (1, 0x02)}
        byte, mask = masks[number]
        return bool(self.fcs[byte] & mask)
