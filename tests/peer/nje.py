"""An NJE node for the tests: dials and listens, sends and takes files and messages, and misbehaves when told.

    host = Node("MAPLEC1", "MICROSFT", listen=port)
    sent = host.send_file(cards, origin=("MAPLEC1", "GEORGEB"), dest=("MICROSFT", "ALICE"), fn="GEORGEB", ft="NOTE")
    assert sent.wait(10)                    # the other side's C0 has come
    files = host.wait_for(1, 10)            # files this node took
    host.at("before:C0", drop)              # next time: lose the connection just before the acknowledgement

Like a real host it keeps a file until C0 and sends it again, under the same job id and time, after a lost connection.
The journal tells what was promised to whom: `acknowledged` (this node sent C0) and `confirmed` (this node got C0).
"""

import fnmatch
import socket
import ssl
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Callable

from . import ebcdic, wire
from .connection import Connection, Dropped
from .headers import Dataset, Job, Message, SpoolFile, now_stck
from .sending import Sending, Transmission

Address = tuple[str, str]
Action = Callable[[Connection], None]


@dataclass
class Quirks:
    """How this node differs from the plainest one. May be changed while it runs."""
    buffer: int = 8192  # NCCIBFSZ
    pad: bool = False  # UnixNJE: a PAD behind ENQ and ACK0
    compress: bool = True  # False: literals only (UnixNJE)
    feat: bytes = b"\x10\x00\x00\x00"
    declared: int = 0x29  # NCCIDL; UnixNJE says 25 and sends 41
    reset_bcb: bool = True  # I and J carry A0; False: 80
    secondary: bool = False  # the dialler sends SYN NAK
    segment: int = 253  # header segment; RSCS 256, JES2 253
    eof_srcb: int = 0x80  # JES2: 00
    line_password: str = ""
    node_password: str = ""
    nak: int = 0  # answer OPEN with NAK and this reason
    refuse: bool = False  # answer 90 with B0
    withhold: bool = False  # answer 90 with nothing until grant()
    complete: bool = True  # False: never acknowledge (X's way of rejecting a file)
    read_rate: int = 0  # bytes a second; 0: as fast as it comes
    streams: int = 1  # SYSOUT streams used for sending
    ack_limit: float = 60.0  # wait for A0 and C0
    tls: str = "off"  # implicit: from the first byte; starttls: OPEN SSL in clear, TLS behind the ACK
    tls_context: ssl.SSLContext | None = None
    tls_name: str | None = None  # where this node dials: the name it asks for


UNIXNJE = dict(pad=True, compress=False, feat=bytes(4), declared=0x25, segment=256)
RSCS = dict(segment=256, buffer=1024)
JES2 = dict(reset_bcb=False, eof_srcb=0x00, segment=253, buffer=4096)


# --- misbehaviour for Node.at ---


def drop(connection: Connection) -> None:
    """FIN."""
    connection.close()
    raise Dropped("dropped on purpose")


def reset(connection: Connection) -> None:
    """RST."""
    connection.close(reset=True)
    raise Dropped("reset on purpose")


def silence(connection: Connection) -> None:
    """From here on this node says nothing, but keeps the connection."""
    connection.mute = True


def wrong_bcb(connection: Connection) -> None:
    connection.send_payload(wire.pack_buffer(0x80 | (connection.sent_bcb + 7) & 15, wire.FCS_NORMAL, b""))


def garbage_rcb(connection: Connection) -> None:
    connection.send_buffer(b"\x77\x80\xc1\x00\x00")


def garbage_scb(connection: Connection) -> None:
    connection.send_buffer(b"\x9a\x80\x20\x01\x02\x00")


def cut_literal(connection: Connection) -> None:
    """A literal that says 63 bytes and has three."""
    connection.send_buffer(b"\x9a\x80\xff\x01\x02")


def long_ttb(connection: Connection) -> None:
    """A TTB that claims 65,535 bytes."""
    connection.send_raw(b"\x00\x00\xff\xff\x00\x00\x00\x00" + bytes(64))


def short_ttb(connection: Connection) -> None:
    connection.send_raw(b"\x00\x00\x00\x05\x00\x00\x00\x00")


def long_ttr(connection: Connection) -> None:
    """A TTR that overruns its block."""
    connection.send_raw(b"\x00\x00\x00\x14\x00\x00\x00\x00" + b"\x00\x00\x00\x64" + bytes(8))


def cut_block(connection: Connection) -> None:
    """Half a block, then the end of the connection."""
    connection.send_raw(wire.block([wire.pack_buffer(0x80 | connection.sent_bcb, wire.FCS_NORMAL, b"")])[:11])
    drop(connection)


@dataclass
class Entry:
    at: float
    what: str
    about: Any


class Node:
    """See the top of this file. Use as a context manager, or call close()."""

    def __init__(self, name: str, peer: str, *, listen: int | tuple[str, int] | None = None,
                 connect: tuple[str, int] | None = None, quirks: Quirks | dict[str, Any] | None = None,
                 retry: float = 0.1) -> None:
        self.name, self.peer, self.connect, self.retry = name.upper(), peer.upper(), connect, retry
        self.quirks = Quirks(**quirks) if isinstance(quirks, dict) else quirks or Quirks()
        self.received: list[SpoolFile] = []
        self.messages: list[Message] = []
        self.journal: list[Entry] = []
        self.violations: list[str] = []
        self.closing = threading.Event()
        self.changed = threading.Condition(threading.RLock())
        self.queue: deque[Sending] = deque()
        self.connection: Connection | None = None
        self.connections = 0  # sign-ons completed
        self.paused = False
        self._hooks: list[list[Any]] = []  # [pattern, action, times left]
        self._job_id, self._entry = 0, 0
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self.port = 0
        if listen is not None:
            host, port = listen if isinstance(listen, tuple) else ("127.0.0.1", listen)
            self._listener = socket.create_server((host, port), reuse_port=False)
            self.port = self._listener.getsockname()[1]
            self._start(self._accept)
        if connect is not None:
            self._start(self._dial)
        for number in range(1, self.quirks.streams + 1):
            self._start(self._sender, (number + 8) << 4 | 9)

    def __enter__(self) -> "Node":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, body: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=body, args=args, daemon=True, name=f"{self.name}-{body.__name__}")
        self._threads.append(thread)
        thread.start()

    # --- what tests call ---

    def close(self) -> None:
        """Ends at once, without sign-off."""
        self.closing.set()
        if self._listener:
            self._listener.close()
        self.drop()
        with self.changed:
            self.changed.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(5)

    def drop(self, reset: bool = False) -> None:
        """Loses the connection, if there is one; dialling and listening go on."""
        connection = self.connection
        if connection:
            connection.close(reset)

    def sign_off(self) -> None:
        """Sends B and closes. A node that dials comes back by itself."""
        connection = self.connection
        if connection:
            connection.send_buffer(bytes([wire.RCB_GENERAL, wire.SRCB_B]))
            self.note("sign-off", "sent")
            connection.close()

    def at(self, pattern: str, action: Action, times: int = 1) -> None:
        """Runs `action(connection)` the next `times` times a moment matches (fnmatch), e.g. `send:data:3`,
        `before:C0`, `recv:DSH`. Moments: before/after OPEN ACK ENQ I J C0, up, recv:OPEN 90 A0 B0 C0 NJH DSH
        data:N NJT EOF, send:90 NJH DSH data:N NJT EOF and sent:… for the same."""
        with self.changed:
            self._hooks.append([pattern, action, times])

    def hooks_left(self) -> int:
        with self.changed:
            return len(self._hooks)

    def wait_up(self, limit: float = 30.0, connections: int = 1) -> bool:
        """Until the link is up and has been at least so many times."""
        return self._wait(lambda: self._is_up() and self.connections >= connections, limit)

    def wait_down(self, limit: float = 30.0) -> bool:
        return self._wait(lambda: self.connection is None, limit)

    def wait_for(self, count: int, limit: float) -> list[SpoolFile]:
        """The files taken, once there are `count`; TimeoutError otherwise."""
        if not self._wait(lambda: len(self.received) >= count, limit):
            raise TimeoutError(f"{self.name}: {len(self.received)} of {count} files after {limit:g} s")
        return list(self.received)

    def wait_messages(self, count: int, limit: float) -> list[Message]:
        if not self._wait(lambda: len(self.messages) >= count, limit):
            raise TimeoutError(f"{self.name}: {len(self.messages)} of {count} messages after {limit:g} s")
        return list(self.messages)

    def wait_note(self, what: str, limit: float, count: int = 1) -> bool:
        """Until the journal holds `count` entries of this kind."""
        return self._wait(lambda: sum(e.what == what for e in self.journal) >= count, limit)

    def send_file(self, records: list[bytes] | list[str], *, origin: Address, dest: Address, fn: str = "", ft: str = "",
                  cls: str = "A", srcb: int = 0x80, carriage: bytes = b"", job: dict[str, Any] | None = None,
                  headers: list[tuple[int, bytes]] | None = None, **dataset: Any) -> Sending:
        """Queues a SYSOUT file. Text records are encoded in 037. Further keywords go to Dataset, `job` to Job."""
        cards = [ebcdic.encode(r) if isinstance(r, str) else bytes(r) for r in records]
        with self.changed:
            self._job_id = self._job_id % 9999 + 1
            self._entry = max(self._entry + 4096, now_stck())
            facts: dict[str, Any] = dict(job_id=self._job_id, entry=self._entry, records=len(cards))
            facts.update(job or {})
            sending = Sending(Job(origin, **facts), Dataset(dest, fn, ft, cls, records=len(cards), **dataset), cards, srcb,
                              carriage=carriage, headers=headers)
            self.queue.append(sending)
            self.changed.notify_all()
        return sending

    def send_message(self, text: str, *, origin: Address, to: Address, command: bool = False) -> bool:
        """Sends an NMR at once; False where the link is down. Nobody acknowledges it."""
        connection = self.connection
        if not connection:
            return False
        data = Message(to, origin, text, command).build()
        try:
            connection.send_buffer(wire.pack_record(wire.RCB_NMR, 0x80, data, self.quirks.compress))
        except Dropped:
            return False
        return True

    def wait_a_bit(self, on: bool) -> None:
        """Tells the other side to hold everything, or to go on."""
        connection = self.connection
        if connection:
            connection.own_fcs = wire.FCS_WAIT if on else wire.FCS_NORMAL
            connection.send_buffer(b"")

    def grant(self) -> int:
        """Gives the permissions that `withhold` kept back."""
        self.quirks.withhold = False
        return self.connection.grant() if self.connection else 0

    def pause(self, on: bool = True) -> None:
        """Starts no further file."""
        with self.changed:
            self.paused = on
            self.changed.notify_all()

    # --- what connections call ---

    def note(self, what: str, about: Any) -> None:
        with self.changed:
            self.journal.append(Entry(time.monotonic(), what, about))
            self.changed.notify_all()

    def noted(self, what: str) -> list[Any]:
        with self.changed:
            return [e.about for e in self.journal if e.what == what]

    def run_hooks(self, moment: str, connection: Connection) -> None:
        actions = []
        with self.changed:
            for hook in list(self._hooks):
                if fnmatch.fnmatchcase(moment, hook[0]):
                    actions.append(hook[1])
                    hook[2] -= 1
                    if hook[2] <= 0:
                        self._hooks.remove(hook)
        for action in actions:
            self.note("hook", moment)
            action(connection)

    def hooked(self, moment: str) -> bool:
        with self.changed:
            return any(fnmatch.fnmatchcase(moment, h[0]) for h in self._hooks)

    def came_up(self, connection: Connection) -> None:
        with self.changed:
            old, self.connection = self.connection, connection
            self.connections += 1
            self.changed.notify_all()
        if old:
            old.close()

    def went_down(self, connection: Connection) -> None:
        with self.changed:
            if self.connection is connection:
                self.connection = None
            self.changed.notify_all()

    def take_file(self, spool: SpoolFile) -> None:
        with self.changed:
            self.received.append(spool)
            self.changed.notify_all()

    def take_message(self, message: Message) -> None:
        with self.changed:
            self.messages.append(message)
            self.changed.notify_all()

    # --- threads ---

    def _wait(self, ready: Callable[[], bool], limit: float) -> bool:
        with self.changed:
            return self.changed.wait_for(ready, limit)

    def _is_up(self) -> bool:
        return self.connection is not None and self.connection.up

    def _accept(self) -> None:
        assert self._listener
        self._listener.settimeout(0.1)
        while not self.closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            sock.settimeout(None)
            self._start(Connection(self, sock, dialled=False).run)

    def _dial(self) -> None:
        assert self.connect
        while not self.closing.is_set():
            if self.connection is None:
                try:
                    sock = socket.create_connection(self.connect, timeout=5)
                    sock.settimeout(None)
                except OSError:
                    pass
                else:
                    Connection(self, sock, dialled=True).run()
            self.closing.wait(self.retry)

    def _sender(self, stream: int) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(
                    lambda: self.closing.is_set() or (self.queue and self._is_up() and not self.paused))
                if self.closing.is_set():
                    return
                connection, sending = self.connection, self.queue.popleft()
            assert connection
            sending.state, sending.attempts = "sending", sending.attempts + 1
            try:
                Transmission(self, connection, stream, sending).run()
            except Dropped:
                pass
            with self.changed:
                if sending.state == "sending":  # not acknowledged: keep it, as a host does
                    sending.state = "queued"
                    self.queue.appendleft(sending)
                    continue
            self.note(sending.state, sending)
            sending.done.set()
