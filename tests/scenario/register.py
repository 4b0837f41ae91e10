#!/usr/bin/env python3
"""Registration as host users and operators have it: by command, in the text, within limits; and the lists of it.

When this fails, a host user cannot begin a correspondence, a correspondent becomes a stranger, two programs talk for
ever, or somebody writes to the Internet who may not. Cases carry the number of the requirement they test.
"""

import csv
import re
import sqlite3
import sys
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import HOST, MAILNODE, Instance, Tap, check, same, start, until  # noqa: E402
from peer import ebcdic, netdata  # noqa: E402
from peer.headers import SpoolFile  # noqa: E402
from peer.mail import Client, Letter, Sink, compose  # noqa: E402
from peer.nje import Node  # noqa: E402
from traffic import HOST_MAILBOX, HOST_USER, note_lines  # noqa: E402

WAIT = 20.0
REGISTER = (MAILNODE, "REGISTER")
IN_BODY = (MAILNODE, "INTERNET")
OTHER = "OTHER"
ACCESS = f"{HOST}(*) allow in-body=yes\n{HOST}(FEW) allow letters=2 register=1\n{HOST}(NOTHIM) deny\n"
WHEN = datetime(2026, 11, 24)
BAD_FORMS = [":user@domain.example", "@example.com", "a..b@example.com", ".a@example.com", "a.@example.com",
             "a(b@example.com", "a@", "user@-bad.example", "a@b..c", "user@exa_mple!.com"]


def host_letter(host: Node, text: list[str], dest: tuple[str, str], origin: tuple[str, str] = HOST_USER) -> None:
    cards = netdata.cms_note(text, origin=origin, to=dest, when=WHEN)
    check(host.send_file(cards, origin=origin, dest=dest, fn=origin[1], ft="NOTE").wait(WAIT), "the note is taken")


def notes(host: Node) -> list[SpoolFile]:
    with host.changed:
        return list(host.received)


def next_note(host: Node, before: int) -> tuple[SpoolFile, str]:
    spool = host.wait_for(before + 1, WAIT)[before]
    return spool, "\n".join(note_lines(spool))


def messages(host: Node, text: str, user: str = HOST_USER[1], count: int = 1) -> list[str]:
    before = len(host.messages)
    check(host.send_message(text, origin=(HOST, user), to=REGISTER), "the link is up")
    until(lambda: len(host.messages) >= before + count, WAIT, f"{count} answers to {text}")
    got = host.messages[before:]
    same({(one.origin, one.to) for one in got}, {(REGISTER, (HOST, user))}, "from whom and to whom the answers are")
    return [one.text.rstrip() for one in got]


def new_letters(sink: Sink, before: int, count: int) -> list[Letter]:
    return sink.wait_for(before + count, WAIT)[before:]


def body_of(letter: Letter) -> str:
    return letter.content.decode().split("\r\n\r\n", 1)[1]


def by_message(tap: Tap, ovvm: Instance, host: Node, sink: Sink) -> None:
    with tap.case("TP-01 a host user registers somebody by message, writes to him, and is answered"):
        same(messages(host, "REGISTER ALICE@EXAMPLE.COM ALIC"), [f"alice@example.com is ALIC at {MAILNODE}"], "answer")
        before = len(sink.letters)
        host_letter(host, ["Hello"], (MAILNODE, "ALIC"))
        same([one.recipients for one in new_letters(sink, before, 1)], [["alice@example.com"]], "recipients")
        files = len(notes(host))
        with Client(ovvm.smtp) as client:
            check(client.deliver(compose("alice@example.com", [HOST_MAILBOX], "Re: Hello", "Good day", id="a1")), "250")
        same(next_note(host, files)[0].job.origin, (MAILNODE, "ALIC"), "who answers, for the host user")
        same(messages(host, "register alice@example.com"), [f"alice@example.com is ALIC at {MAILNODE}, as before"],
             "asked again")
    with tap.case("TP-04 the name of somebody else, of the connector, or of the form of a number is not given"):
        for wanted in ("ALIC", "REGISTER", "INTERNET", "POSTMAST", "X0000009", "TOOLONGNAME"):
            answer = messages(host, f"REGISTER other@example.com {wanted}")[0]
            check(answer.startswith("other@example.com: "), f"{wanted}: {answer}")
        same(ovvm.ovvm("register", "list", "--match", "other@")["registrations"], [], "registered all the same")
    with tap.case("WHO and LIST tell what ovvm who tells, HELP the commands"):
        answer = messages(host, "WHO alice@example.com")[0]
        same([answer], ovvm.ovvm("who", "alice@example.com")["lines"], "answer")
        check(f"ALIC at {MAILNODE} is alice@example.com" in messages(host, "LIST"), "LIST")
        check(any("REGISTER user@domain" in one for one in messages(host, "HELP", count=6)), "HELP")
    with tap.case("a message of a system, to nobody, or of another node's user is never answered"):
        before = len(host.messages)
        for origin, to in (((HOST, ""), REGISTER), ((HOST, "RSCS"), REGISTER), ((HOST, "OP"), (MAILNODE, "")),
                           (("ELSEWHER", "GEORGEB"), REGISTER)):
            host.send_message("HELP", origin=origin, to=to)
        host.send_message("REGISTER x@example.com", origin=(HOST, "SYSTEM"), to=REGISTER)
        same(messages(host, "WHO nobody@example.com")[0][:30], "nobody@example.com has no host", "the next question")
        same(len(host.messages), before + 1, "messages")
    with tap.case("two robots cannot talk for ever: after registrar-limit answers there is silence until tomorrow"):
        for number in range(29):
            messages(host, "LIST", user="ROBOT")
        same(messages(host, "LIST", user="ROBOT", count=2)[-1], "This is the last answer to you today (UTC).", "the last")
        before = len(host.messages)
        host.send_message("LIST", origin=(HOST, "ROBOT"), to=REGISTER)
        ovvm.logged_once("gets no further answers today")
        same(len(host.messages), before, "messages after the limit")


def by_letter(tap: Tap, ovvm: Instance, host: Node, sink: Sink) -> None:
    with tap.case("TP-01 the same by letter: answered by a letter from the registrar"):
        before = len(notes(host))
        host_letter(host, ["", "REGISTER bob.short@example.net", "WHO bob.short@example.net", "", "George"], REGISTER)
        spool, text = next_note(host, before)
        same(spool.job.origin, REGISTER, "who answers")
        check(re.search(rf"bob.short@example.net is X\d+ at {MAILNODE}", text), f"the note says: {text}")
        check("is shown to host users as" in text, f"the note says: {text}")
    with tap.case("Access.tbl: who may not, or has registered enough today, is told so"):
        same(messages(host, "REGISTER a1@example.com", user="FEW")[0][:16], "a1@example.com i", "the first")
        check("all that you may" in messages(host, "REGISTER a2@example.com", user="FEW")[0], "the second")
        check("ask the operator" in messages(host, "REGISTER a3@example.com", user="NOTHIM")[0], "one who may not")
    with tap.case("Access.tbl: letters of a denied user, and those above the number of the day, come back"):
        before, files = len(sink.letters), len(notes(host))
        host_letter(host, ["no"], (MAILNODE, "ALIC"), origin=(HOST, "NOTHIM"))
        check("may not send mail to the Internet" in next_note(host, files)[1], "the report of a denied user")
        for number in range(3):
            host_letter(host, [f"few {number}"], (MAILNODE, "ALIC"), origin=(HOST, "FEW"))
            ovvm.wait_empty(WAIT)
        check("which is all that it may" in next_note(host, files + 1)[1], "the report of the third letter")
        same(len(sink.letters), before + 2, "letters sent")
    with tap.case("a bad line of Access.tbl keeps the former table and is named"):
        table = ovvm.directory / "tables" / "Access.tbl"
        table.write_text(ACCESS + "ELM(*) perhaps\n")
        refused = ovvm.run("tables", "reload")
        same(refused.returncode, 3, "exit status")
        check("Access.tbl line 4" in refused.stderr, f"says: {refused.stderr}")
        check("ask the operator" in messages(host, "REGISTER a4@example.com", user="NOTHIM")[0], "the table in use")
        table.write_text(ACCESS)
        same(ovvm.run("tables", "reload").returncode, 0, "exit status")


def in_body(tap: Tap, ovvm: Instance, host: Node, sink: Sink) -> None:
    with tap.case("IB-02, IB-05, IB-06 addresses in the text: the good ones get it without the list, the bad are named"):
        before, files = len(sink.letters), len(notes(host))
        host_letter(host, ["To: one@example.com, :user@domain.example", "Cc: two@example.net", "Bcc: three@example.org",
                           "Subject: Numbers", "", "The numbers", "To: stay"], IN_BODY)
        got = {one.recipients[0]: one for one in new_letters(sink, before, 3)}
        same(sorted(got), ["one@example.com", "three@example.org", "two@example.net"], "recipients")
        for letter in got.values():
            same(letter.header("Subject"), "Numbers", "subject")
            check("three@example.org" not in letter.header("Cc") + body_of(letter), "the blind copy is not shown")
            same(body_of(letter).strip().splitlines(), ["The numbers", "To: stay"], "text")
        check("one@example.com" in got["two@example.net"].header("To"), "To shows the others")
        same(got["one@example.com"].header("Cc"), "<two@example.net>", "Cc")
        check(":user@domain.example" in next_note(host, files)[1], "the report names the bad text")
    with tap.case(f"IB-03, Q215947 {len(BAD_FORMS)} malformed addresses: each a report that names it, nothing sent"):
        before, files = len(sink.letters), len(notes(host))
        for bad in BAD_FORMS:
            host_letter(host, [f"To: {bad}", "", "text"], IN_BODY)
        reports = "\n".join("\n".join(note_lines(one)) for one in host.wait_for(files + len(BAD_FORMS), WAIT)[files:])
        same([bad for bad in BAD_FORMS if bad not in reports], [], "forms that no report names")
        ovvm.wait_empty(WAIT)
        same(len(sink.letters), before, "letters sent")
    with tap.case("IB-08 who may not address in the text, names too many, or nobody, gets a report; nothing is sent"):
        before, files = len(sink.letters), len(notes(host))
        host_letter(host, ["To: one@example.com", "", "x"], IN_BODY, origin=(HOST, "FEW"))
        check("may not address in the text" in next_note(host, files)[1], "not allowed")
        host_letter(host, [f"To: n{number}@example.com" for number in range(6)] + ["", "x"], IN_BODY)
        check("more than 5 recipients" in next_note(host, files + 1)[1], "too many")
        host_letter(host, ["just text"], IN_BODY)
        check("no Internet address" in next_note(host, files + 2)[1], "none")
        same(len(sink.letters), before, "letters sent")


def resolved(tap: Tap, ovvm: Instance, host: Node, sink: Sink) -> None:
    with tap.case("DA-03 mail to the dummy address is returned, from either side"):
        files = len(notes(host))
        host_letter(host, ["x"], (MAILNODE, "NOREPLY"))
        check("stands for people without an address" in next_note(host, files)[1], "the report")
        with Client(ovvm.smtp) as client:
            client.command("MAIL FROM:<a@example.com>")
            same(client.command(f"RCPT TO:<noreply@{MAILNODE}.vm.example.org>")[:3], "550", "reply")
    with tap.case("DA-01, Q236335 names without an address are shown in To with the dummy address"):
        before = len(sink.letters)
        head = (b"\xfe" + ebcdic.encode(f"MSG:FROM: {HOST_USER[1]:8}--{HOST:8} TO: {'ALIC':8}--{MAILNODE:8}          "
                                        "11/24/26 14:03:11 "))
        lines = [f" To: {'ALIC':8}--{MAILNODE}  European Clown", " From: George", " Subject: Fun", " ", " text"]
        trailer = b"\xff\xff\x00\x00\x00\x11" + ebcdic.encode("Fun".ljust(65)) + bytes(9)
        cards = [head] + [ebcdic.encode(line.ljust(80)) for line in lines] + [trailer]
        check(host.send_file(cards, origin=HOST_USER, dest=(MAILNODE, "ALIC"), fn="GEORGEB", ft="NOTE").wait(WAIT), "taken")
        letter = new_letters(sink, before, 1)[0]
        same(letter.recipients, ["alice@example.com"], "recipients")
        check(re.search(r'European Clown"? <noreply@', letter.header("To")), f"To: {letter.header('To')}")
    with tap.case("AD-06, AD-08 a file for a node behind another link is handed to the mail system"):
        before = len(sink.letters)
        host_letter(host, ["on"], (OTHER, "NOBODY"))
        same(new_letters(sink, before, 1)[0].recipients, [f"nobody@{OTHER.lower()}.vm.example.org"], "recipients")
    with tap.case("AD-05 an unknown user at our node: a report at once, in the classic words"):
        files = len(notes(host))
        host_letter(host, ["x"], (MAILNODE, "BADUSER"))
        check(f"BADUSER unknown at {MAILNODE}; " in next_note(host, files)[1], "the report")
    with tap.case("AD-07, Q186580 the same from the mail side"), Client(ovvm.smtp) as client:
        client.command("MAIL FROM:<a@example.com>")
        same(client.command(f"RCPT TO:<baduser@{MAILNODE}.vm.example.org>")[:3], "550", "reply")


def unresolved(tap: Tap, ovvm: Instance, host: Node, sink: Sink) -> None:
    ovvm.stop()
    ovvm.sections["addressing"].update({"AllowUnresolvedAddresses": "no", "in-body-remove": "no",
                                        "LASTMSGHEADERLINE": "/INTERNET"})
    ovvm.write_conf()
    ovvm.start()
    check(host.wait_up(WAIT), "the link is up again")
    with tap.case("AD-08, Q264987 allow-unresolved = no returns unknown host addresses and no Internet address in the text"):
        before, files = len(sink.letters), len(notes(host))
        host_letter(host, ["To: one@example.com", "", "x"], IN_BODY)
        same(new_letters(sink, before, 1)[0].recipients, ["one@example.com"], "recipients")
        host_letter(host, ["on"], (OTHER, "NOBODY"))
        check("NOBODY" in next_note(host, files)[1], "the report")
        same(len(sink.letters), before + 1, "letters sent")
    with tap.case("IB-02, IB-06 the other keyword, by its old name; with in-body-remove = no the list stays in the text"):
        before = len(sink.letters)
        host_letter(host, ["/INTERNET", "one@example.com", "", "x"], IN_BODY)
        letter = new_letters(sink, before, 1)[0]
        same(letter.recipients, ["one@example.com"], "recipients")
        same(body_of(letter).strip().splitlines(), ["/INTERNET", "one@example.com", "", "x"], "text")


def correlation_lost(tap: Tap, ovvm: Instance, host: Node, sink: Sink) -> None:
    with tap.case("CT-09, Q174102, Q269234 a lost correlation table stops threading, and no mail"):
        with sqlite3.connect(f"file:{ovvm.state}/ovvm.db", uri=True, timeout=20) as ledger:
            ledger.execute("DROP TABLE correlation")
        before, files = len(sink.letters), len(notes(host))
        host_letter(host, ["*** Reply to note of 11/24/26 14:03", "still here"], (MAILNODE, "ALIC"))
        same(new_letters(sink, before, 1)[0].recipients, ["alice@example.com"], "recipients")
        with Client(ovvm.smtp) as client:
            check(client.deliver(compose("alice@example.com", [HOST_MAILBOX], "Re: Hello", "Good day", id="a2")), "250")
        same(next_note(host, files)[0].job.origin, (MAILNODE, "ALIC"), "who writes")
        ovvm.wait_empty(WAIT)


def lists(tap: Tap, ovvm: Instance) -> None:
    exported = ovvm.directory / "export.csv"
    with tap.case("TP-02 the list is exported, and imported again changes nothing; filters find one"):
        same(ovvm.run("register", "export", str(exported)).returncode, 0, "exit status")
        rows = list(csv.DictReader(exported.open()))
        check(f"{MAILNODE}(ALIC)" in [row["host"] for row in rows], f"exported: {rows}")
        answer = ovvm.ovvm("register", "import", str(exported), "--dry-run")
        same((answer["added"], answer["same"]), (0, len(rows)), "an import of the export")
        found = ovvm.ovvm("register", "list", "--match", "alice@example", "--kind", "name")["registrations"]
        same([one["host"] for one in found], [f"{MAILNODE}(ALIC)"], "found")
    with tap.case("AD-02, AD-03 both old written forms are imported; other nodes are passed over; --dry-run changes nothing"):
        book = ovvm.directory / "book.csv"
        book.write_text(f"[PROFS:{MAILNODE}(DORA)],dora@example.com\n[PROFS:gate/{MAILNODE}/EMIL],emil@example.com\n"
                        f"[PROFS:/{MAILNODE}/FAY],fay@example.com\n[PROFS:{HOST}(GEORGEB)],georgeb@vm.example.org\n")
        answer = ovvm.ovvm("register", "import", str(book), "--dry-run")
        same((answer["added"], answer["skipped"]), (3, 1), "what it would bring")
        check("person" not in ovvm.ovvm("who", "dora@example.com"), "a dry run changes nothing")
        same(ovvm.ovvm("register", "import", str(book))["added"], 3, "added")
        for user, mail in (("DORA", "dora"), ("EMIL", "emil"), ("FAY", "fay")):
            same(ovvm.ovvm("who", f"[PROFS:{MAILNODE}({user})]")["mail"], f"{mail}@example.com", user)
    with tap.case("a wrong line of an import is named and nothing of it is taken"):
        book.write_text(f"{MAILNODE}(GUS),gus@example.com\n{MAILNODE}(ALIC),thief@example.com\n")
        refused = ovvm.run("register", "import", str(book))
        same(refused.returncode, 3, "exit status")
        check("line 2: " in refused.stderr, f"says: {refused.stderr}")
        check("person" not in ovvm.ovvm("who", "gus@example.com"), "nothing is taken")
    with tap.case("SECURE tables and UnixNJE routes become lines of ours"):
        book.write_text("* who may\nJDOE ALMADEN\n")
        same(ovvm.ovvm("register", "import", str(book), "--format", "secure")["lines"], "ALMADEN(JDOE) allow\n", "lines")
        book.write_text("ROUTE OTHER MAPLEC1 ETHNET CH\n")
        check("OTHER(*) MAPLEC1" in ovvm.run("register", "import", str(book), "--format", "unixnje-routes").stdout, "lines")
    with tap.case("each change is on record with who made it"):
        ovvm.ovvm("register", "add", "hal@example.com", f"{MAILNODE}(HAL)")
        ovvm.ovvm("register", "remove", f"{MAILNODE}(HAL)")
        with sqlite3.connect(f"file:{ovvm.state}/ovvm.db?mode=ro", uri=True) as ledger:
            rows = [(what, bytes(detail).decode()) for what, detail in
                    ledger.execute("SELECT what, detail FROM audit WHERE instr(detail, 'HAL') ORDER BY key")]
            whose = [bytes(who).decode() for (who,) in ledger.execute("SELECT who FROM audit WHERE what = 'register'")]
        same(rows, [("register add", f"{MAILNODE}(HAL) hal@example.com"), ("register remove", f"{MAILNODE}(HAL) ")], "rows")
        check(f"{HOST}({HOST_USER[1]})" in whose, "a host user's registration is too")


def journal(tap: Tap, build: Path, ovvm: Instance) -> None:
    """After a lost ledger: a backup of before, and the log."""
    with tap.case("TP-03, TP-07, IB-07, Q295071 what was registered after a backup comes back from the log; no number twice"):
        backup, log = ovvm.directory / "backup", ovvm.directory / "journal"
        same(ovvm.run("backup", str(backup)).returncode, 0, "exit status of the backup")
        late = ovvm.ovvm("register", "add", "late@example.com")["host"]
        log.write_text("\n".join(ovvm.log_lines()))
        ovvm.stop()
        with Instance(build, conf={"connector": {"state": None}}) as fresh:
            fresh.stop()
            fresh.sections["connector"]["state"] = str(fresh.directory / "restored")
            fresh.sections["store"]["url"] = f"sqlite:{fresh.directory}/restored/ovvm.db"
            fresh.write_conf()
            refused = fresh.run("restore", str(backup))
            same(refused.returncode, 3, "IB-07: exit status where in-body-id differs")
            check("in-body-id" in refused.stderr, f"says: {refused.stderr}")
            fresh.sections["addressing"] = {"in-body-id": "INTERNET"}
            fresh.write_conf()
            done = fresh.run("restore", str(backup))
            same(done.returncode, 0, f"exit status of the restore ({done.stderr})")
            fresh.start()
            check("person" not in fresh.ovvm("who", "late@example.com"), "the backup is older")
            check(any("ovvm register confirm" in one["remedy"] for one in fresh.ovvm("status")["warnings"]), "a warning")
            new = fresh.ovvm("register", "add", "new@example.com")["host"]
            check(new != late, f"{late} was given to two people")
            fresh.ovvm("register", "import", str(log), "--format", "journal")
            same(fresh.ovvm("who", late)["mail"], "late@example.com", "whose the number is")
            fresh.ovvm("register", "confirm")
            same(fresh.run("register", "confirm").returncode, 1, "exit status of a second confirmation")


def main() -> None:
    tap, args = start(__doc__, limit=400)
    with Sink() as sink:
        ovvm = Instance(args.build, relay=("127.0.0.1", sink.port), conf={
            "addressing": {"registrar-id": "REGISTER", "registrar-limit": "30", "ADHOCID": "INTERNET",
                           "in-body-recipients": "5", "dummy-address": f"{MAILNODE}(NOREPLY)"},
            f"link {OTHER}": {"kind": "rscs", "listen": "127.0.0.1:1", "allow": "127.0.0.1", "nodes": OTHER}})
        ovvm.sections[f"link {OTHER}"]["listen"] = f"127.0.0.1:{ovvm.link_port}"
        tables = ovvm.directory / "tables"
        tables.mkdir()
        (tables / "Access.tbl").write_text(ACCESS)
        ovvm.sections["connector"]["tables"] = str(tables)
        ovvm.write_conf()
        ovvm.start()
        with Node(HOST, MAILNODE, connect=("127.0.0.1", ovvm.link_port)) as host:
            check(host.wait_up(WAIT), "the link is up")
            by_message(tap, ovvm, host, sink)
            by_letter(tap, ovvm, host, sink)
            in_body(tap, ovvm, host, sink)
            resolved(tap, ovvm, host, sink)
            unresolved(tap, ovvm, host, sink)
            lists(tap, ovvm)
            journal(tap, args.build, ovvm)
            ovvm.start()
            check(host.wait_up(WAIT), "the link is up again")
            correlation_lost(tap, ovvm, host, sink)
            ovvm.stop()
    tap.finish()


if __name__ == "__main__":
    main()
