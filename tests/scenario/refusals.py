#!/usr/bin/env python3
"""What is refused, returned or put aside, and why; and that a translator that is killed, hangs or runs out of memory costs
one letter a try.

When this fails, the connector relays for strangers, lets a host user write in another's name, loses a letter without a
word, or one bad letter stops the mail of all.
"""

import os
import resource
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import HOST, MAILNODE, Instance, Tap, check, free_port, same, start, until  # noqa: E402
from peer.ebcdic import card  # noqa: E402
from peer.mail import Client, Sink, compose  # noqa: E402
from peer.nje import Node, Sending  # noqa: E402
from traffic import (HOST_MAILBOX, HOST_USER, OUTSIDE_ADDRESS, SENDER, letter, note_lines, send_note,  # noqa: E402
                     tokens_of)

WAIT = 60.0
TIME_LIMIT_WAIT = 150.0  # a translator may take a minute for a letter
LISTED, UNLISTED, LINKLESS = "ELM", "OAK", "PINE"
OVDFILE = f"{MAILNODE} LOCAL MSX\n{HOST} CMS CMS\n{LISTED} CMS CMS\n{LINKLESS} CMS CMS\n"
LETTERS = 20
LARGE_LINES = 400_000  # 7 MB
SPACE = 12 << 20


def quarantined(ovvm: Instance) -> list[dict[str, str]]:
    items: list[dict[str, str]] = ovvm.ovvm("queue", "list", "--state", "quarantine")["items"]
    return items


def at_host(host: Node) -> set[str]:
    with host.changed:
        files = list(host.received)
    return set().union(*(tokens_of("\n".join(note_lines(spool)).encode()) for spool in files))


def at_sink(sink: Sink) -> set[str]:
    with sink.changed:
        return set().union(*(tokens_of(one.content) for one in sink.letters))


def send_letters(ovvm: Instance, tokens: list[str]) -> None:
    with Client(ovvm.smtp) as client:
        for token in tokens:
            check(client.deliver(letter(token)), f"250 for {token}")


def good_both_ways(ovvm: Instance, host: Node, sink: Sink, number: int) -> None:
    """A letter and a note pass: nothing that came before stopped the queues."""
    send_letters(ovvm, [f"M{number:07}"])
    send_note(host, f"H{number:07}")
    until(lambda: f"M{number:07}" in at_host(host) and f"H{number:07}" in at_sink(sink), WAIT,
          "a good letter to pass each way")


# --- addresses ---


def smtp_door(tap: Tap, ovvm: Instance) -> None:
    outsider = ovvm.ovvm("register", "add", "stranger@example.com")["host"]
    user = outsider.split("(")[1].rstrip(")")
    refusals = {
        f"{user}@{MAILNODE}.vm.example.org": ("550 5.7.1", "for host users only"),
        f'"{outsider}"@vm.example.org': ("550 5.7.1", "for host users only"),
        f"alice@{MAILNODE}.vm.example.org": ("550 5.7.1", "for host users only"),
        "somebody@elsewhere.example": ("550 5.7.1", "relaying to elsewhere.example is not allowed"),
        "georgeb@vm.example.org.elsewhere.example": ("550 5.7.1", "relaying to"),
        f"georgeb@{UNLISTED}.vm.example.org": ("550 5.1.2", f"no node {UNLISTED}"),
        f"georgeb@{LINKLESS}.vm.example.org": ("550 5.1.2", f"no node {LINKLESS}"),
        "nine.letters.or.more@vm.example.org": ("550 5.1.1", "longer than 8 characters"),
    }
    for recipient, (code, reason) in refusals.items():
        with tap.case(f"mail from the Internet to {recipient} is refused with {code} and says why"), \
                Client(ovvm.smtp) as client:
            client.command(f"MAIL FROM:<{SENDER}>")
            reply = client.command(f"RCPT TO:<{recipient}>")
            check(reply.startswith(code) and reason in reply, f"got: {reply}")
            same(client.command(f"RCPT TO:<{HOST_MAILBOX}>")[:3], "250", "reply for a good recipient beside it")


def postmaster(tap: Tap, ovvm: Instance, sink: Sink) -> None:
    forms = ["postmaster", "Postmaster@vm.example.org", f"postmaster@{HOST.lower()}.vm.example.org",
             f"postmaster@{MAILNODE.lower()}.vm.example.org"]
    before = len(sink.letters)
    with tap.case("mail for the postmaster is taken in each form and reaches him as it was written"), \
            Client(ovvm.smtp) as client:
        for number, form in enumerate(forms):
            check(client.deliver(compose(SENDER, [form], f"Help {number}", "TOKEN-M0000400")), f"250 for {form}")
        got = sink.wait_for(before + len(forms), WAIT)[before:]
        same({(one.sender, *one.recipients) for one in got}, {(SENDER, "postmaster@example.org")}, "from whom, to whom")
        check(all(b"TOKEN-M0000400" in one.content and b"Subject: Help" in one.content for one in got), "the text")
    with tap.case("a letter for the postmaster that comes back is returned, not sent round and round"), \
            Client(ovvm.smtp) as client:
        back = compose(SENDER, ["postmaster@vm.example.org"], "Round", "TOKEN-M0000401")
        back.content = got[0].content
        check(client.deliver(back), "250")
        report = sink.wait_for(before + len(forms) + 1, WAIT)[-1]
        same(report.recipients, [SENDER], "who is told")
        check(b"5.4.6" in report.content and b"comes back" in report.content, f"the report: {report.body!r}")
    with tap.case("a stranger's address under another domain is not the postmaster"), Client(ovvm.smtp) as client:
        client.command(f"MAIL FROM:<{SENDER}>")
        for form in ("postmaster@elsewhere.example", f"postmaster@{UNLISTED.lower()}.vm.example.org", "postmasters"):
            check(client.command(f"RCPT TO:<{form}>").startswith("5"), f"refused: {form}")


# --- host files that may not pass ---


def send_as(node: Node, origin: tuple[str, str], token: str, dest: tuple[str, str] = OUTSIDE_ADDRESS) -> Sending:
    return node.send_file([card(f"TOKEN-{token}")], origin=origin, dest=dest, fn=origin[1], ft="NOTE")


def wrong_origins(tap: Tap, ovvm: Instance, host: Node, oak: Node, sink: Sink) -> None:
    cases = [
        ("a node that is not listed", oak, (UNLISTED, "EVE"), f"the node {UNLISTED} is not in Ovdfile.dat"),
        ("a listed node over the wrong link", host, (LISTED, "GEORGEB"), f"the way there is the link {LISTED}"),
        ("a listed node over the link of one that is not", oak, HOST_USER, f"the way there is the link {HOST}"),
        ("a node that no link leads to", host, (LINKLESS, "EVE"), f"no link leads to the node {LINKLESS}"),
        ("the connector's own node", host, (MAILNODE, "ALICE"), "a node of this connector"),
        ("nobody at all", host, (HOST, ""), "does not say who sent it"),
    ]
    for number, (what, node, origin, reason) in enumerate(cases, 1):
        token = f"H90000{number:02}"
        with tap.case(f"a file from {what} is put aside with its reason, and not delivered"):
            before = len(quarantined(ovvm))
            check(send_as(node, origin, token).wait(WAIT), "C0: it was taken")
            found = until(lambda: (lambda items: items if len(items) > before else None)(quarantined(ovvm)), WAIT,
                          "the file in quarantine")[-1]
            check(reason in found["reason"], f"reason: {found['reason']}")
            check(any(reason in line for line in ovvm.log_lines()), "the log says so")
            steps = ovvm.ovvm("trace", found["id"])["steps"]
            check(any(reason in one["detail"] for one in steps), f"ovvm trace says so: {steps}")
    with tap.case("none of them reached the mail side, and good mail passes after them"):
        good_both_ways(ovvm, host, sink, 1)
        same(at_sink(sink), {"H0000001"}, "what the mail side got")


def unknown_users(tap: Tap, ovvm: Instance, host: Node, sink: Sink) -> None:
    retired = ovvm.ovvm("register", "add", "gone@example.com")["host"].split("(")[1].rstrip(")")
    same(ovvm.run("register", "remove", f"{MAILNODE}({retired})").returncode, 0, "exit status of register remove")
    for what, user in (("was never given", "NOSUCH"), ("is retired", retired)):
        with tap.case(f"a note to an address that {what} is returned to its writer with the reason"):
            before = len(host.received)
            check(send_as(host, HOST_USER, "H9000100", (MAILNODE, user)).wait(WAIT), "C0: it was taken")
            spool = host.wait_for(before + 1, WAIT)[-1]
            text = "\n".join(note_lines(spool))
            same(spool.dataset.dest, HOST_USER, "who is told")
            same(spool.job.origin, (MAILNODE, "POSTMAST"), "by whom")
            check(f"{user} unknown at {MAILNODE}" in text and "Reason: 5.1.1" in text, f"the report: {text}")
            check("H9000100" not in at_sink(sink), "it was not delivered")


# --- translators ---


def children(ovvm: Instance) -> list[int]:
    """The translators, once all are at work."""
    def listed(pid: int) -> list[int]:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def ready() -> list[int] | None:
        try:
            found = [pid for zygote in listed(ovvm.pid) for pid in listed(zygote)]
            shut_in = [pid for pid in found if "Seccomp:\t2" in Path(f"/proc/{pid}/status").read_text()]
        except FileNotFoundError:
            return None
        return found if len(found) == 2 and shut_in == found else None
    return until(ready, WAIT, "two translators in their sandbox")


def replaced(ovvm: Instance, pid: int) -> None:
    """Kills a translator and waits for another in its place."""
    os.kill(pid, signal.SIGKILL)
    until(lambda: pid not in children(ovvm), WAIT, "another translator")


def one_killed(tap: Tap, ovvm: Instance, host: Node, sink: Sink) -> None:
    for what, number in (("letter", 100), ("host file", 200)):
        with tap.case(f"a translator killed at a {what} costs it one try more, and the others nothing"):
            victim, other = children(ovvm)
            tries = len([line for line in ovvm.log_lines() if "tried once more" in line])
            tokens = [f"{'M' if what == 'letter' else 'H'}{number + n:07}" for n in range(LETTERS)]

            def there() -> set[str]:
                return set(tokens) & (at_host(host) if what == "letter" else at_sink(sink))  # noqa: B023
            for pid in (victim, other):  # both, so that each has a letter
                os.kill(pid, signal.SIGSTOP)
            if what == "letter":
                send_letters(ovvm, tokens)
            else:
                check(all([one.wait(WAIT) for one in [send_note(host, token) for token in tokens]]), "C0 for each")
            os.kill(other, signal.SIGCONT)
            until(lambda: len(there()) >= LETTERS - 1, WAIT, "the others to pass the translator that stands still")
            same(len(there()), LETTERS - 1, "letters that passed; one waits in the translator that stands still")
            replaced(ovvm, victim)
            until(lambda: there() == set(tokens), WAIT, "the one that waited")
            same(len([line for line in ovvm.log_lines() if "tried once more" in line]) - tries, 1, "letters tried again")


def killed_twice(tap: Tap, ovvm: Instance, host: Node, sink: Sink) -> None:
    with tap.case("a letter at which two translators die goes into quarantine with the reason; the others pass"):
        before = len(quarantined(ovvm))
        stopped = children(ovvm)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        send_letters(ovvm, ["M0000300"])
        for _ in range(3):  # whichever of the two has it, these three are enough
            pid = stopped.pop(0)
            replaced(ovvm, pid)
            if len(quarantined(ovvm)) > before:
                break
            stopped += [one for one in children(ovvm) if one not in stopped]
            os.kill(stopped[-1], signal.SIGSTOP)
        for pid in children(ovvm):
            os.kill(pid, signal.SIGCONT)
        found = until(lambda: quarantined(ovvm)[before:], WAIT, "the letter in quarantine")
        same(len(found), 1, "letters put aside")
        check("translator killed by signal 9" in found[0]["reason"], f"reason: {found[0]['reason']}")
        good_both_ways(ovvm, host, sink, 301)
        check("M0000300" not in at_host(host), "what is in quarantine was not delivered")


def out_of_memory(tap: Tap, ovvm: Instance, host: Node, sink: Sink) -> None:
    with tap.case("a letter that needs more memory than a translator may have is tried once more, then put aside with the "
                  "reason; the others pass"):
        before = len(quarantined(ovvm))
        tries = len([line for line in ovvm.log_lines() if "tried once more" in line])
        workers = children(ovvm)
        for pid in workers:  # as if the letter were that much larger
            used = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
            resource.prlimit(pid, resource.RLIMIT_AS, (used + SPACE, resource.prlimit(pid, resource.RLIMIT_AS)[1]))
        with Client(ovvm.smtp) as client:
            check(client.deliver(letter("M0000400", "a line of a text\n" * LARGE_LINES)), "250 for the large letter")
        send_letters(ovvm, [f"M{number:07}" for number in range(401, 401 + LETTERS)])
        found = until(lambda: quarantined(ovvm)[before:], WAIT, "the letter in quarantine")
        same(len(found), 1, "letters put aside")
        check("more memory than" in found[0]["reason"], f"reason: {found[0]['reason']}")
        shown = ovvm.run("trace", found[0]["id"]).stdout
        check(found[0]["reason"] in shown, f"trace says why: {shown}")
        same(len([line for line in ovvm.log_lines() if "tried once more" in line]) - tries, 1, "letters tried again")
        until(lambda: {f"M{number:07}" for number in range(401, 401 + LETTERS)} <= at_host(host), WAIT, "the others")
        good_both_ways(ovvm, host, sink, 450)
        check("M0000400" not in at_host(host), "what is in quarantine was not delivered")
        same(children(ovvm), workers, "translators: none of them ended")


def main() -> None:
    tap, args = start(__doc__, limit=400)
    elm_port, oak_port = free_port(), free_port()
    ovvm = Instance(args.build, conf={
        f"link {name}": {"kind": "rscs", "listen": f"127.0.0.1:{port}", "allow": "127.0.0.1", "nodes": name}
        for name, port in ((LISTED, elm_port), (UNLISTED, oak_port))})
    tables = ovvm.directory / "tables"
    tables.mkdir()
    (tables / "Ovdfile.dat").write_text(OVDFILE)
    ovvm.sections["connector"]["tables"] = str(tables)
    with Sink() as sink, Sink() as other_sink, Instance(args.build, relay=("127.0.0.1", other_sink.port)) as hanging:
        # the time limit of the one that stands still passes while all else is tried
        stands_still = children(hanging)[0]
        os.kill(stands_still, signal.SIGSTOP)
        send_letters(hanging, [f"M{n:07}" for n in range(LETTERS)])
        ovvm.sections["smtp-out"]["relay"] = f"127.0.0.1:{sink.port}"
        ovvm.write_conf()
        with ovvm, Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host, \
                Node(UNLISTED, MAILNODE, connect=("127.0.0.1", oak_port)) as oak:
            check(host.wait_up(WAIT) and oak.wait_up(WAIT), "links are up")
            smtp_door(tap, ovvm)
            wrong_origins(tap, ovvm, host, oak, sink)
            unknown_users(tap, ovvm, host, sink)
            postmaster(tap, ovvm, sink)
            one_killed(tap, ovvm, host, sink)
            killed_twice(tap, ovvm, host, sink)
            out_of_memory(tap, ovvm, host, sink)
        with tap.case("a translator that hangs is ended at the time limit, and its letter arrives with the others"), \
                Node(HOST, MAILNODE, connect=("127.0.0.1", hanging.link_port)) as host:
            until(lambda: len(at_host(host)) == LETTERS, TIME_LIMIT_WAIT, "all letters")
            check(stands_still not in children(hanging), "the one that stood still is gone")
            same(len(hanging.wait_log("tried once more")), 1, "letters tried again")
            hanging.wait_empty(WAIT)
    tap.finish()


if __name__ == "__main__":
    main()
