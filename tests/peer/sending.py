"""One file on its way from the test node: request, headers, data, trailer, EOF, and what the other side said."""

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Callable

from . import wire
from .connection import Connection, Dropped
from .headers import PUNCH, Dataset, Job, Trailer, data_record, segments

if TYPE_CHECKING:
    from .nje import Node

HEADERS = {wire.SRCB_NJH: "NJH", wire.SRCB_DSH: "DSH", wire.SRCB_NJT: "NJT"}


@dataclass
class Sending:
    """A file this node has to deliver."""
    job: Job
    dataset: Dataset
    records: list[bytes]
    srcb: int = 0x80
    carriage: bytes = b""  # one byte where srcb says that there is carriage control
    headers: list[tuple[int, bytes]] | None = None  # instead of the built ones: (SRCB, segment)
    state: str = "queued"  # queued, sending, confirmed, refused
    attempts: int = 0
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def confirmed(self) -> bool:
        return self.state == "confirmed"

    def wait(self, limit: float) -> bool:
        """True once the other side acknowledged; False when it refused, or the limit passed."""
        self.done.wait(limit)
        return self.confirmed

    def wire_records(self, limit: int) -> list[tuple[int, bytes]]:
        """(SRCB, bytes) of every record but the EOF; header segments of at most `limit` bytes."""
        if self.headers is not None:
            out = list(self.headers)
        else:
            out = [(wire.SRCB_NJH, s) for s in segments(self.job.build(), limit)]
            out += [(wire.SRCB_DSH, s) for s in segments(self.dataset.build(), limit)]
        for data in self.records:
            if self.carriage:
                out.append((self.srcb, bytes([self.dataset.lrecl]) + self.carriage + data))
            else:
                out.append((self.srcb, data_record(data, self.dataset.lrecl)))
        cards = self.dataset.medium == PUNCH
        counted = Trailer(0 if cards else len(self.records), len(self.records) if cards else 0)
        return out + [(wire.SRCB_NJT, s) for s in segments(counted.build(), limit)]


class Refused(Exception):
    """B0: the other side does not want this file."""


class Transmission:
    """One attempt to send one file on one stream. Dropped when the connection ends under it."""

    def __init__(self, node: "Node", connection: Connection, stream: int, sending: Sending) -> None:
        self.node, self.connection, self.stream, self.sending = node, connection, stream, sending
        self.quirks = node.quirks
        self.batch: list[bytes] = []

    def run(self) -> None:
        """Leaves sending.state `confirmed` or `refused`, or raises Dropped."""
        connection, stream = self.connection, self.stream
        with connection.changed:
            connection.permits.pop(stream, None)
            connection.completes.discard(stream)
        connection.outgoing.add(stream)
        try:
            self._request()
            cards = 0
            for srcb, record in self.sending.wire_records(self.quirks.segment):
                self._record(srcb, record, cards)
                cards += srcb not in HEADERS
            self._flush()
            connection.moment("send:EOF")
            connection.send_buffer(bytes([stream, self.quirks.eof_srcb, 0]))
            connection.moment("sent:EOF")
            self._wait(lambda: stream in connection.completes or self._refused(), "no acknowledgement")
            if stream not in connection.completes:
                raise Refused
            self.sending.state = "confirmed"
        except Refused:
            self.sending.state = "refused"
        finally:
            connection.outgoing.discard(stream)

    def _refused(self) -> bool:
        return self.connection.permits.get(self.stream) is False

    def _wait(self, ready: Callable[[], bool], what: str) -> None:
        if not self.connection.wait_for(ready, self.quirks.ack_limit):
            self.connection.close()
            raise Dropped(f"{what} within {self.quirks.ack_limit:g} s")

    def _request(self) -> None:
        self.connection.moment("send:90")
        self.connection.send_control(wire.RCB_REQUEST, self.stream)
        self.connection.moment("sent:90")
        self._wait(lambda: self.stream in self.connection.permits, "no permission")
        if self._refused():
            raise Refused

    def _record(self, srcb: int, record: bytes, number: int) -> None:
        """Headers go alone in their buffer, data as many as fit."""
        moment = HEADERS.get(srcb) or f"data:{number}"
        watched = srcb in HEADERS or self.node.hooked(f"send:{moment}") or self.node.hooked(f"sent:{moment}")
        if watched:
            self._flush()
        self.connection.moment(f"send:{moment}")
        self._wait(lambda: self.connection.may_send(self.stream) or self._refused(), "held, no release")
        if self._refused():
            self.connection.send_buffer(bytes([self.stream, 0x40, 0x40, 0x00]))
            raise Refused
        packed = wire.pack_record(self.stream, srcb, record, self.quirks.compress)
        if sum(map(len, self.batch)) + len(packed) + 6 > self.connection.buffer:
            self._flush()
        self.batch.append(packed)
        if watched:
            self._flush()
        self.connection.moment(f"sent:{moment}")

    def _flush(self) -> None:
        if self.batch:
            body = b"".join(self.batch)
            self.batch.clear()
            self.connection.send_buffer(body)
