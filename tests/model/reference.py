"""What the connector must hold about people and host addresses, in dictionaries: no ledger, no cache, no code of ours.

A number or a rule's digit cannot be foretold, so what appears for the first time is learned; but it is learned only where
nobody had it, and from then on it is the law.
"""

from dataclasses import dataclass, field

from harness import check, same

Host = tuple[str, str]  # node, user


def written(host: Host) -> str:
    return f"{host[0]}({host[1]})"


def parsed(text: str) -> Host:
    node, _, user = text.rstrip(")").partition("(")
    return node, user


@dataclass
class Arrived:
    """A letter that a host user has, and may answer at any time."""
    id: str
    sender: str
    user: str  # the host user who got it
    proxy: Host  # whom it came from, as he sees it
    subject: str
    reply_to: str = ""
    forgotten: bool = False  # the ledger lost it in a restore: an answer goes to the person, unthreaded


@dataclass
class Reference:
    owner: dict[Host, str] = field(default_factory=dict)  # every address that was ever given, for ever
    shown: dict[str, Host] = field(default_factory=dict)  # mail address -> what host users see
    kind: dict[Host, str] = field(default_factory=dict)
    retired: set[Host] = field(default_factory=set)
    listed: dict[str, str] = field(default_factory=dict)  # the people file: mail address -> host address or ""
    lost: dict[Host, str] = field(default_factory=dict)  # numbers that a restore forgot and host users may have noted
    letters: list[Arrived] = field(default_factory=list)

    def learn(self, host: Host, mail: str) -> None:
        """This address stands for this person; nobody else may ever have had it."""
        same(self.owner.setdefault(host, mail), mail, f"owner of {written(host)}")
        same(self.lost.get(host, mail), mail, f"who was shown as {written(host)} before the restore")

    def came_from(self, host: Host, mail: str) -> None:
        """A letter of `mail` came from this host address."""
        if mail in self.shown:
            same(host, self.shown[mail], f"host address of {mail}")
        self.learn(host, mail)
        self.shown[mail] = host
        self.retired.discard(host)

    def reached_by(self, host: Host) -> str | None:
        """Who gets a note to this address; None: it is returned."""
        return None if host in self.retired else self.owner.get(host)

    def table(self, rows: list[dict[str, object]], read: bool) -> None:
        """Everything that the connector says it holds. `read`: the people file was read since, so that its people may have
        got further addresses, others may be shown, and retired ones theirs again; nothing else may ever have changed."""
        hosts = {parsed(str(row["host"])): row for row in rows}
        same(len(hosts), len(rows), "rows, each host address once")
        same([written(host) for host in self.owner if host not in hosts], [], "addresses that are missing")
        shown: dict[str, Host] = {}
        for host, row in hosts.items():
            mail = str(row["mail"])
            may_change = read and mail in self.listed
            check(host in self.owner or may_change, f"{written(host)} of {mail} came out of nothing")
            self.learn(host, mail)
            self.kind[host] = str(row["kind"])
            if may_change and row["kind"] != "retired":
                self.retired.discard(host)
            same(row["kind"] == "retired", host in self.retired, f"{written(host)} is out of use")
            if row["main"]:
                check(mail not in shown, f"{mail} has two shown addresses")
                shown[mail] = host
        for mail in {*self.shown, *shown}:
            if not (read and mail in self.listed):
                same(shown.get(mail), self.shown.get(mail), f"what is shown of {mail}")
        self.shown = shown

    def loaded(self, before: dict[str, Host]) -> None:
        """The people file was read; `before`: what was shown until then."""
        for mail, host in self.listed.items():
            check(mail in self.shown, f"{mail} of the people file has no address")
            if host:
                same(self.shown[mail], parsed(host), f"{mail} is shown as the people file says")
            elif mail in before and self.kind.get(before[mail]) in ("rule", "operator"):
                same(self.shown[mail], before[mail], f"what is shown of {mail} after the people file was read again")
            else:
                check(self.kind[self.shown[mail]] in ("rule", "number", "operator"), f"{mail} has an address by rule")
