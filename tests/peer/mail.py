"""The mail side of the tests: a load of SMTP sessions, and a sink that takes mail by SMTP or LMTP.

Both keep a journal of what was promised: the load, which letters got a 250; the sink, which letters it gave one. The
tests count losses and duplicates from these two and from nothing else.
"""

import os
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Callable, Iterable

Place = tuple[str, int] | str  # (host, port), or the path of a Unix socket
CRLF = b"\r\n"


def connect(place: Place, limit: float) -> socket.socket:
    if isinstance(place, str):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(limit)
        sock.connect(place)
        return sock
    sock = socket.create_connection(place, timeout=limit)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


@dataclass
class Letter:
    """`content` has CRLF line ends and no dot-stuffing."""
    sender: str
    recipients: list[str]
    content: bytes
    id: str = ""
    replies: dict[str, str] = field(default_factory=dict)  # recipient -> reply to RCPT, or to DATA for LMTP
    reply: str = ""  # reply to the content
    protocol: str = ""
    acknowledged: bool = False
    at: float = 0.0

    @property
    def code(self) -> int:
        return int(self.reply[:3]) if self.reply[:3].isdigit() else 0

    def header(self, name: str) -> str:
        """First header of that name, unfolded; empty where there is none."""
        lines = self.content.split(CRLF + CRLF)[0].decode("utf-8", "replace").replace("\r\n ", " ").replace("\r\n\t", " ")
        for line in lines.split("\r\n"):
            key, _, value = line.partition(":")
            if key.strip().lower() == name.lower():
                return value.strip()
        return ""

    @property
    def body(self) -> bytes:
        return self.content.partition(CRLF + CRLF)[2]


def compose(sender: str, recipients: list[str], subject: str, text: str, *, id: str = "", headers: str = "") -> Letter:
    """A plain letter. `id` is what the test knows it by: put it in subject or text."""
    head = (f"From: <{sender}>\nTo: {', '.join(recipients)}\nSubject: {subject}\nDate: Tue, 24 Nov 2026 14:03:11 +0000\n"
            f"Message-ID: <{id or 'a'}@test.invalid>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
            f"{headers}\n{text}\n")
    return Letter(sender, recipients, head.replace("\n", "\r\n").encode(), id)


def stuff(content: bytes) -> bytes:
    """Dot-stuffed content with its closing dot."""
    out = content if content.endswith(CRLF) else content + CRLF
    out = out.replace(b"\r\n.", b"\r\n..")
    return (b"." + out if out.startswith(b".") else out) + b".\r\n"


# --- client ---


class SmtpError(Exception):
    """The server broke off or answered what no server may."""


class Client:
    """One SMTP or LMTP session over a raw socket."""

    def __init__(self, place: Place, *, lmtp: bool = False, limit: float = 30.0, helo: str = "load.test") -> None:
        self.lmtp = lmtp
        self.sock = connect(place, limit)
        self.buffer = b""
        self.greeting = self.reply()
        self.features: list[str] = []
        if self.greeting.startswith("220"):
            hello = self.command(f"{'LHLO' if lmtp else 'EHLO'} {helo}")
            self.features = [line[4:] for line in hello.split("\n")[1:]]

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()

    def quit(self) -> str:
        try:
            return self.command("QUIT")
        except (OSError, SmtpError):
            return ""
        finally:
            self.close()

    def line(self) -> str:
        while b"\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise SmtpError("connection closed")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        if not line.endswith(b"\r"):
            raise SmtpError(f"reply line without CR: {line!r}")
        return line[:-1].decode("ascii")

    def reply(self) -> str:
        """One reply; the lines of a longer one are joined with newlines."""
        lines = []
        while True:
            line = self.line()
            if not line[:3].isdigit():
                raise SmtpError(f"not a reply: {line!r}")
            lines.append(line)
            if line[3:4] != "-":
                return "\n".join(lines)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def command(self, text: str) -> str:
        self.send(text.encode() + CRLF)
        return self.reply()

    def deliver(self, letter: Letter, pipelined: bool = True) -> bool:
        """One transaction. True when the content got its 250 (LMTP: from every recipient)."""
        commands = [f"MAIL FROM:<{letter.sender}>"] + [f"RCPT TO:<{r}>" for r in letter.recipients] + ["DATA"]
        if pipelined:
            self.send(b"".join(c.encode() + CRLF for c in commands))
            replies = [self.reply() for _ in commands]
        else:
            replies = []
            for command in commands[:-1]:
                replies.append(self.command(command))
            if not replies[0].startswith("2") or not any(r.startswith("2") for r in replies[1:]):
                replies.append("503 not sent")
            else:
                replies.append(self.command("DATA"))
        letter.replies = dict(zip(letter.recipients, replies[1:-1]))
        letter.reply = replies[0] if not replies[0].startswith("2") else replies[-1]
        if not replies[-1].startswith("354"):
            if replies[-1] == "503 not sent" or not replies[0].startswith("2"):
                self.command("RSET")
            if letter.reply.startswith("5") and letter.replies and not replies[0].startswith(("4", "5")):
                letter.reply = next(iter(letter.replies.values()))
            return False
        self.send(stuff(letter.content))
        taken = [r for r in letter.recipients if letter.replies[r].startswith("2")]
        if self.lmtp:
            for recipient in taken:
                letter.replies[recipient] = self.reply()
            letter.reply = letter.replies[taken[-1]]
            letter.acknowledged = all(letter.replies[r].startswith("2") for r in taken)
        else:
            letter.reply = self.reply()
            letter.acknowledged = letter.reply.startswith("2")
        letter.at = time.monotonic()
        return letter.acknowledged


class Load:
    """Several sessions that hand over letters, each reconnecting when its connection is lost.

    A letter that got no answer is `uncertain`: the server may have taken it. It is offered again until `retry_limit`
    seconds after start, as a real client would. No answer and then a 250 may make two copies, and no server can tell.
    """

    def __init__(self, place: Place, letters: Iterable[Letter], *, sessions: int = 4, lmtp: bool = False,
                 pipelined: bool = True, per_session: int = 0, retry_limit: float = 60.0, stay: bool = False) -> None:
        self.place, self.lmtp, self.pipelined, self.per_session = place, lmtp, pipelined, per_session
        self.stay = stay  # sessions wait for further letters (offer) until no_more or stop
        self.waiting: deque[Letter] = deque(letters)
        self.accepted: list[Letter] = []
        self.refused: list[Letter] = []  # 5xx: not offered again
        self.deferred: list[Letter] = []  # each 4xx, as it stood then; the letter is offered again
        self.uncertain: list[Letter] = []  # each time that no answer came
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.deadline = time.monotonic() + retry_limit
        self.threads = [threading.Thread(target=self._session, daemon=True) for _ in range(sessions)]

    def start(self) -> "Load":
        for thread in self.threads:
            thread.start()
        return self

    def offer(self, letters: Iterable[Letter]) -> None:
        with self.lock:
            self.waiting.extend(letters)

    def no_more(self) -> None:
        """Nothing will be offered any more; sessions end when what waits has been answered."""
        self.stay = False

    def stop(self, limit: float = 30.0) -> None:
        """Offers nothing more; waits for the sessions."""
        self.stopping.set()
        self.join(limit)

    def join(self, limit: float = 120.0) -> bool:
        """Until every letter was answered or given up; False when the limit passed."""
        deadline = time.monotonic() + limit
        for thread in self.threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(t.is_alive() for t in self.threads)

    def accepted_ids(self) -> set[str]:
        with self.lock:
            return {letter.id for letter in self.accepted}

    def _over(self) -> bool:
        return self.stopping.is_set() or time.monotonic() > self.deadline

    def _next(self) -> Letter | None:
        with self.lock:
            return self.waiting.popleft() if self.waiting else None

    def _session(self) -> None:
        while not self._over():
            letter = self._next()
            if letter is None and not self.stay:
                return
            if letter is None:
                self.stopping.wait(0.02)
                continue
            try:
                client = Client(self.place, lmtp=self.lmtp)
            except (OSError, SmtpError):
                with self.lock:
                    self.waiting.appendleft(letter)
                self.stopping.wait(0.05)
                continue
            self._offer(client, letter)

    def _offer(self, client: Client, letter: Letter | None) -> None:
        done = 0
        while letter is not None:
            try:
                client.deliver(letter, self.pipelined)
            except (OSError, SmtpError):
                with self.lock:
                    self.uncertain.append(letter)
                    self.waiting.appendleft(letter)
                client.close()
                return
            with self.lock:
                if letter.acknowledged:
                    self.accepted.append(letter)
                elif letter.reply.startswith("5"):
                    self.refused.append(letter)
                else:
                    self.deferred.append(replace(letter))
                    self.waiting.append(letter)
            if not letter.acknowledged:
                self.stopping.wait(0.05)
            done += 1
            if self._over() or (self.per_session and done >= self.per_session):
                break
            letter = self._next()
        client.quit()


# --- sink ---

Answer = str | None  # a reply such as "451 4.3.0 later"; None: the usual 2xx; "drop": close without a word


class Sink:
    """Takes mail and keeps it. What it shall answer is set through the callables, at any time:

    on_rcpt(recipient) -> Answer; on_data(letter) -> Answer, asked after the closing dot (for LMTP once a recipient, with
    letter.recipients holding that one); on_moment(name), called before the reply to HELO, MAIL, RCPT, DATA, DOT, after
    the 250 (`sent`), may return "drop". `delay` seconds before each reply to the closing dot.
    """

    def __init__(self, place: Place = ("127.0.0.1", 0), *, lmtp: bool = False) -> None:
        self.lmtp, self.delay = lmtp, 0.0
        self.on_rcpt: Callable[[str], Answer] = lambda recipient: None
        self.on_data: Callable[[Letter], Answer] = lambda letter: None
        self.on_moment: Callable[[str], Answer] = lambda name: None
        self.letters: list[Letter] = []  # those that got a 250, in that order
        self.seen: list[Letter] = []  # every letter whose closing dot came
        self.changed = threading.Condition()
        self.closing = threading.Event()
        self.sessions: set[socket.socket] = set()
        if isinstance(place, str):
            if os.path.exists(place):
                os.unlink(place)
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(place)
            self.listener.listen(64)
            self.place: Place = place
        else:
            self.listener = socket.create_server(place, backlog=64)
            self.place = self.listener.getsockname()[:2]
        self.listener.settimeout(0.1)
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def __enter__(self) -> "Sink":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def port(self) -> int:
        return int(self.place[1])

    def close(self) -> None:
        self.closing.set()
        self.thread.join(5)
        self.listener.close()
        with self.changed:
            for sock in self.sessions:
                sock.close()

    def wait_for(self, count: int, limit: float) -> list[Letter]:
        """The letters taken, once there are `count`; TimeoutError otherwise."""
        return self.wait_until(lambda letters: len(letters) >= count, limit, f"{count} letters")

    def wait_until(self, ready: Callable[[list[Letter]], bool], limit: float, what: str) -> list[Letter]:
        with self.changed:
            if not self.changed.wait_for(lambda: ready(self.letters), limit):
                raise TimeoutError(f"mail sink: waited {limit:g} s for {what}, has {len(self.letters)}")
            return list(self.letters)

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                sock, _ = self.listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            sock.settimeout(60)
            with self.changed:
                self.sessions.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            _SinkSession(self, sock).run()
        except (OSError, SmtpError):
            pass
        finally:
            sock.close()
            with self.changed:
                self.sessions.discard(sock)


class _SinkSession:
    """One connection to a Sink."""

    def __init__(self, sink: Sink, sock: socket.socket) -> None:
        self.sink, self.sock = sink, sock
        self.file = sock.makefile("rb")
        self.sender: str | None = None
        self.recipients: list[str] = []
        self.protocol = ""

    def say(self, reply: str, moment: str = "") -> None:
        if reply == "drop" or (moment and self.sink.on_moment(moment) == "drop"):
            raise SmtpError("dropped on purpose")
        self.sock.sendall(reply.encode() + CRLF)

    def run(self) -> None:
        self.say("220 sink.test ready")
        while line := self.file.readline(4096):
            if not line.endswith(CRLF):
                self.say("500 5.5.2 line without CRLF")
                continue
            verb, _, rest = line.decode("utf-8").strip().partition(" ")
            if not self._command(verb.upper(), rest):
                return

    def _command(self, verb: str, rest: str) -> bool:
        if verb in ("HELO", "EHLO", "LHLO"):
            self.protocol = {"HELO": "SMTP", "EHLO": "ESMTP", "LHLO": "LMTP"}[verb]
            self.say("250 sink.test" if verb == "HELO" else
                     "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 104857600\r\n"
                     "250 ENHANCEDSTATUSCODES", "HELO")
        elif verb == "MAIL":
            self.sender, self.recipients = _path(rest), []
            self.say("250 2.1.0 ok", "MAIL")
        elif verb == "RCPT":
            recipient = _path(rest)
            answer = "503 5.5.1 MAIL first" if self.sender is None else self.sink.on_rcpt(recipient)
            if answer is None:
                self.recipients.append(recipient)
            self.say(answer or "250 2.1.5 ok", "RCPT")
        elif verb == "DATA":
            if not self.recipients:
                self.say("554 5.5.1 no valid recipients")
            else:
                self.say("354 go on", "DATA")
                self._content()
        elif verb in ("RSET", "NOOP"):
            if verb == "RSET":
                self.sender, self.recipients = None, []
            self.say("250 2.0.0 ok")
        elif verb == "QUIT":
            self.say("221 2.0.0 bye")
            return False
        else:
            self.say("502 5.5.1 unknown")
        return True

    def _content(self) -> None:
        lines = []
        while (line := self.file.readline()) != b".\r\n":
            if not line:
                raise SmtpError("connection lost in the content")
            lines.append(line[1:] if line.startswith(b".") else line)
        whole = b"".join(lines)
        if self.sink.delay:
            self.sink.closing.wait(self.sink.delay)
        groups = [[r] for r in self.recipients] if self.sink.lmtp else [self.recipients]
        for group in groups:
            letter = Letter(self.sender or "", group, whole, protocol=self.protocol, at=time.monotonic())
            answer = self.sink.on_data(letter)
            letter.reply = answer or "250 2.0.0 kept"
            letter.acknowledged = letter.reply.startswith("2")
            with self.sink.changed:
                self.sink.seen.append(letter)
            if self.sink.on_moment("DOT") == "drop":
                letter.acknowledged = False
                raise SmtpError("dropped on purpose")
            with self.sink.changed:
                if letter.acknowledged:
                    self.sink.letters.append(letter)
                self.sink.changed.notify_all()
            self.say(letter.reply)
            if self.sink.on_moment("sent") == "drop":
                raise SmtpError("dropped on purpose")
        self.sender, self.recipients = None, []


def _path(argument: str) -> str:
    """The address between < and > of a MAIL or RCPT argument."""
    start, end = argument.find("<"), argument.rfind(">")
    return argument[start + 1:end] if 0 <= start < end else ""
