"""Mail in both directions with a token in each letter, and the account of what was promised and what arrived.

Promised: the connector gave a 250 (letters) or a C0 (host files). Arrived: the sink gave a 250, the host node took the
file. A promised token that did not arrive is a loss; one that arrived twice is a duplicate.
"""

import re
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, Callable

from harness import HOST, MAILNODE, Failed, Instance, check, until
from peer import netdata
from peer.ebcdic import card
from peer.headers import SpoolFile
from peer.mail import Letter, Load, Sink, compose
from peer.nje import Node, Sending

HOST_USER = (HOST, "GEORGEB")
HOST_MAILBOX = "georgeb@vm.example.org"  # GEORGEB at the default node
OUTSIDE_ADDRESS = (MAILNODE, "ALICE")  # on the host side, an address that leads to the mail side
OUTSIDE_MAILBOX = "alice@outside.example"  # whose it is there (Instance.people)
SENDER = "alice.longname@example.com"
TOKEN = re.compile(rb"TOKEN-([MH]\d{7})")
ARRIVE_LIMIT = 60.0
LARGE_LINES = 14000  # about 900 KB


def send_note(node: Node, token: str, text: list[str] | None = None, packed: bool = False) -> Sending:
    """A note of the host user that carries a token: on plain cards, or packed as NETDATA as CMS NOTE does."""
    lines = [f"TOKEN-{token}", *(text or ["The numbers are in the file that follows."])]
    cards = netdata.cms_note(lines, origin=HOST_USER, to=OUTSIDE_ADDRESS, when=datetime(2026, 11, 24, 14, 3, 11)) if packed \
        else [card(line) for line in lines]
    return node.send_file(cards, origin=HOST_USER, dest=OUTSIDE_ADDRESS, fn=HOST_USER[1], ft="NOTE", dist="SYSTEM")


def letter(token: str, text: str = "The numbers are in the file that follows.") -> Letter:
    return compose(SENDER, [HOST_MAILBOX], f"Quarterly numbers {token}", f"TOKEN-{token}\n{text}", id=token)


def note_lines(spool: SpoolFile) -> list[str]:
    """The text of a file the host got: a NETDATA note, or plain cards."""
    cards = spool.cards()
    return netdata.decode(cards).lines() if netdata.is_netdata(cards) else spool.lines()


def tokens_of(data: bytes) -> set[str]:
    return {t.decode() for t in TOKEN.findall(data)}


class Traffic:
    """Load in both directions between a host node, the connector and a mail sink.

    The host node dials the connector, so that the link is back as soon as the connector is.
    """

    def __init__(self, build: Path, *, sessions: int = 4, retry_limit: float = 600.0, **instance: Any) -> None:
        self.sink = Sink()
        self.ovvm = Instance(build, relay=("127.0.0.1", self.sink.port), **instance)
        self.node = Node(HOST, MAILNODE, connect=("127.0.0.1", self.ovvm.link_port))
        self.load = Load(self.ovvm.smtp, [], sessions=sessions, retry_limit=retry_limit, stay=True)
        self.sendings: dict[str, Sending] = {}
        self.number = 0
        self.host_tokens: Counter[str] = Counter()  # of what has arrived so far; each file and letter is read once
        self.sink_tokens: Counter[str] = Counter()
        self.host_read = self.sink_read = 0

    def __enter__(self) -> "Traffic":
        self.load.start()
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        self.load.stop(10)
        self.node.close()
        try:
            self.ovvm.__exit__(kind, *rest)
        finally:
            self.sink.close()

    # --- load ---

    def offer(self, letters: int, files: int) -> None:
        """Adds so many to what waits to be sent."""
        made = []
        for _ in range(letters):
            self.number += 1
            made.append(letter(f"M{self.number:07}"))
        self.load.offer(made)
        for _ in range(files):
            self.number += 1
            token = f"H{self.number:07}"
            self.sendings[token] = send_note(self.node, token)

    def offer_large(self) -> None:
        """One letter and one file that the ledger keeps in several chunks."""
        text = [f"line {n} of a text that is longer than a chunk of the ledger" for n in range(LARGE_LINES)]
        self.number += 2
        self.load.offer([letter(f"M{self.number - 1:07}", "\n".join(text))])
        token = f"H{self.number:07}"
        self.sendings[token] = send_note(self.node, token, text)

    def top_up(self, letters: int = 12, files: int = 6) -> None:
        """Keeps at least so many waiting."""
        self.offer(max(0, letters - len(self.load.waiting)), max(0, files - len(self.node.queue)))

    # --- account ---

    def promised_letters(self) -> set[str]:
        return self.load.accepted_ids()

    def promised_files(self) -> set[str]:
        return {token for token, sending in list(self.sendings.items()) if sending.confirmed}

    def at_host(self) -> Counter[str]:
        """Letters the host took, by token."""
        with self.node.changed:
            new = self.node.received[self.host_read:]
        for spool in new:
            self.host_tokens.update(tokens_of("\n".join(note_lines(spool)).encode("utf-8")))
        self.host_read += len(new)
        return self.host_tokens

    def at_sink(self) -> Counter[str]:
        """Host files that got a 250 from the sink, by token."""
        with self.sink.changed:
            new = self.sink.letters[self.sink_read:]
        for got in new:
            self.sink_tokens.update(tokens_of(got.content))
        self.sink_read += len(new)
        return self.sink_tokens

    def quiet(self, limit: float = ARRIVE_LIMIT) -> None:
        """Until everything offered has been answered; then nothing more is offered."""
        self.load.no_more()
        check(self.load.join(limit), f"letters without an answer after {limit:g} s: {len(self.load.waiting)}")
        until(lambda: all(s.done.is_set() for s in list(self.sendings.values())), limit, "an answer to every host file")

    def one_by_one(self, count: int, alive: Callable[[], bool]) -> None:
        """`count` letters and as many files, each only after everything before it has arrived and is recorded, until the
        connector dies: then nothing else was under way. Last come a large letter and a large file, together."""
        for _ in range(count):
            for letters, files in ((1, 0), (0, 1)):
                if not alive():
                    return
                self.offer(letters, files)
                until(lambda: not alive() or self._all_recorded(), ARRIVE_LIMIT, "the letter to arrive")
        if alive():
            self.offer_large()
            until(lambda: not alive() or self._all_recorded(), ARRIVE_LIMIT, "the large letters to arrive")

    def _all_recorded(self) -> bool:
        sent = {letter.id for letter in self.load.accepted} | self.promised_files()
        if len(sent) < self.number or not sent <= set(self.at_host()) | set(self.at_sink()):
            return False
        try:
            return self.ovvm.waiting() == 0
        except Failed:
            return False  # it died, or does not answer yet

    def missing(self) -> tuple[set[str], set[str]]:
        """Promised and not arrived: letters at the host, host files at the sink."""
        return self.promised_letters() - set(self.at_host()), self.promised_files() - set(self.at_sink())

    def settle(self, limit: float = ARRIVE_LIMIT) -> None:
        """Until every promised letter and file has arrived. Failed when nothing more has arrived for `limit` seconds; it
        names the first that are missing, and says how many the queues still hold: the others are lost."""
        def fewer(than: int) -> bool:
            return sum(map(len, self.missing())) < than

        while left := sum(map(len, self.missing())):
            try:
                until(lambda: fewer(left), limit, "more of what was acknowledged to arrive")
            except Failed:
                letters, files = self.missing()
                raise Failed(f"LOST: {len(letters)} letter(s) with a 250 {sorted(letters)[:5]}, "
                             f"{len(files)} host file(s) with a C0 {sorted(files)[:5]}; "
                             f"{self.ovvm.waiting()} in the queues") from None
        self.ovvm.wait_empty(limit)

    def duplicates(self) -> tuple[int, int]:
        """(copies too many at the host, copies too many at the sink). A letter whose answer was lost is offered again by
        its client, and each such time explains one copy of that very letter; those are not counted."""
        offered_again = Counter(one.id for one in list(self.load.uncertain))
        return (sum(max(0, n - 1 - offered_again[token]) for token, n in self.at_host().items()),
                sum(n - 1 for n in self.at_sink().values()))

    def conduct(self) -> None:
        """What the host node saw against the protocol."""
        wrong = [v for v in self.node.violations if not v.startswith("connection ended")]
        check(not wrong, f"against the NJE protocol: {wrong[:5]}")
