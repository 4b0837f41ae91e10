#!/usr/bin/env python3
"""A connector that lives through everything, and a reference model beside it that is asked the same.

Letters of new, known, listed, VERP, forged and null senders; notes of host users to addresses they were ever shown, answers
at once and long after; registrations and other people files; other rules; reloads, restarts, kills, backups and restores,
moves to another computer and exports that are taken back. After each round: every letter came from the address of its
sender, every note reached whom the model says, no address has changed hands, and all that the model knows is still there.

`--steps 100000` is the soak. The seed repeats the choices.
"""

import argparse
import copy
import random
import re
import shutil
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Callable

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import HOST, MAILNODE, Failed, Instance, check, same, start, until  # noqa: E402
from model.reference import Arrived, Host, Reference, parsed, written  # noqa: E402
from peer import netdata  # noqa: E402
from peer.mail import Letter, Load, Sink, compose  # noqa: E402
from peer.nje import Node  # noqa: E402
from traffic import note_lines  # noqa: E402

BRANCH = "BRANCH"
POSTMAST: Host = (MAILNODE, "POSTMAST")
USERS = ("GEORGEB", "MARY", "OPS1", "JOHN$D", "X1")  # of the host
BATCH = 250  # letters and notes of a round
WAIT = 120.0
SESSIONS = 6
KEPT = 4000  # letters that may still be answered
PEOPLE = 60
MARK = re.compile(r"MARK-([LN])-(\d+)-")
RETURNED = re.compile(r"Reason: .* ([A-Z0-9]+\([^()]+\))")
RULES = (f"{MAILNODE}(&m) {BRANCH}(&s&g1)", f"{MAILNODE}(&s&g2) {BRANCH}(&m)", f"{MAILNODE}(&i&s3) {BRANCH}(&d)",
         f"{MAILNODE}(P%r..&m4) {BRANCH}(&g&s)")


@dataclass
class Note:
    """What a host user sent, and what must become of it."""
    number: int
    to: Host
    expected: str | None  # mail address; None: a report to the host user
    threaded: str = ""  # Message-ID that it answers


class World:
    """The connector, its neighbours and the reference; the steps."""

    def __init__(self, build: Path) -> None:
        self.build, self.model, self.number = build, Reference(), 0
        self.sink = Sink()
        self.ovvm = self.instance()
        self.place = {name: (self.ovvm.sections[section][key]) for name, section, key in self.doors()}
        self.people: list[str] = []
        self.rule = 0
        self.backup: tuple[Path, Reference] | None = None
        self.at_host = self.at_sink = 0  # how much of what arrived was looked at
        self.counts: Counter[str] = Counter()
        self.new_senders: list[str] = []
        self.write_people({})
        self.ovvm.start()
        self.host = Node(HOST, MAILNODE, connect=("127.0.0.1", self.ovvm.link_port))

    @staticmethod
    def doors() -> list[tuple[str, str, str]]:
        return [("link", f"link {HOST}", "listen"), ("smtp", "smtp-in", "listen")]

    def instance(self) -> Instance:
        return Instance(self.build, relay=("127.0.0.1", self.sink.port),
                        conf={"connector": {"also-nodes": BRANCH, "proxy-rule": RULES[0]},
                              "addressing": {"registration-limit": "0", "reuse-after": "1s", "people-removal-limit": "100"},
                              "log": {"level": "warning"}})

    def close(self, fine: bool) -> None:
        self.host.close()
        self.ovvm.__exit__(None if fine else Failed)
        self.sink.close()

    def next(self) -> int:
        self.number += 1
        return self.number

    # --- a batch of mail ---

    def some_sender(self) -> tuple[str, str, str]:
        """What kind, whose letter it is (empty: nobody's), and the envelope sender."""
        dice = random.random()
        known = list(self.model.shown)
        if dice < 0.35 or not known:
            mail = f"new{self.next()}@example{random.randrange(9)}.com"
            return "new", mail, mail
        mail = random.choice(known) if dice < 0.9 else random.choice(sorted(self.model.listed) or known)
        if dice < 0.60:
            return "known", mail, mail
        if dice < 0.75:
            return "VERP", mail, f"bounce+{self.next()}={mail.replace('@', '=')}@lists.example"
        if dice < 0.80:
            return "forged", mail, f"mallory{self.next()}@evil.example"
        if dice < 0.85:
            return "null", "", ""
        return "listed", mail, mail

    def a_letter(self) -> tuple[Letter, Arrived]:
        kind, mail, envelope = self.some_sender()
        number, user = self.next(), random.choice(USERS)
        reply_to = f"answers{number}@example.net" if kind == "known" and random.random() < 0.2 else ""
        shown = mail or f"mailer-daemon{number}@example.com"
        if "@" in shown and random.random() < 0.3:
            local, domain = shown.split("@")
            shown = f"{local}@{domain.upper()}"
        letter = compose(shown, [f"{user.replace('$', '$')}@vm.example.org"], f"S{number}", f"MARK-L-{number}-",
                         id=f"L{number}", headers=f"Reply-To: {reply_to}\n" if reply_to else "")
        letter.sender = envelope
        self.counts[f"letters of {kind} senders"] += 1
        return letter, Arrived(f"L{number}", mail, user, POSTMAST, f"S{number}", reply_to)

    def a_note(self) -> Note:
        """To an address that was shown, or as an answer to a letter that came at any time, or to nobody."""
        dice = random.random()
        number = self.next()
        letters = self.model.letters
        if dice < 0.55 and letters:
            late = dice < 0.25
            letter = random.choice(letters) if late else letters[-1 - random.randrange(min(len(letters), BATCH))]
            self.counts["late answers" if late else "answers"] += 1
            mail = self.model.reached_by(letter.proxy)
            threaded = "" if letter.forgotten or mail is None else f"<{letter.id}@test.invalid>"
            expected = letter.reply_to if threaded and letter.reply_to else mail
            return self.send(Note(number, letter.proxy, expected, threaded), letter.user, f"Re: {letter.subject}")
        if dice < 0.95 and self.model.owner:
            to = random.choice(self.some_hosts())
            self.counts["notes"] += 1
        else:
            to = (random.choice((MAILNODE, BRANCH)), f"N{number % 9999999}")
            self.counts["notes to nobody"] += 1
        return self.send(Note(number, to, self.model.reached_by(to)), random.choice(USERS), f"N{number}")

    def some_hosts(self) -> list[Host]:
        """Among them those that a restore forgot, and retired ones."""
        lost, retired = list(self.model.lost), list(self.model.retired)
        few = [random.choice(lost)] if lost else []
        few += [random.choice(retired)] if retired else []
        return few + random.choices(self.hosts, k=8)

    def send(self, note: Note, user: str, subject: str) -> Note:
        cards = netdata.cms_note([f"MARK-N-{note.number}-"], origin=(HOST, user), to=note.to, when=datetime(2026, 11, 24),
                                 subject=subject)
        self.host.send_file(cards, origin=(HOST, user), dest=note.to, fn=user, ft="NOTE")
        return note

    def mail(self, count: int, ending: Callable[[], None] | None = None) -> None:
        """`count` letters and notes at once; `ending` interrupts them. All arrive where the model says, once unless the
        connector was killed."""
        self.hosts = list(self.model.owner)
        notes = [self.a_note() for _ in range(count * 2 // 5)]
        letters = [self.a_letter() for _ in range(count - len(notes))]
        load = Load(self.ovvm.smtp, [letter for letter, _ in letters], sessions=SESSIONS, per_session=60,
                    retry_limit=WAIT).start()
        if ending is not None:
            part = random.randrange(len(letters))
            until(lambda: len(load.accepted) >= part, WAIT, "some letters to be taken")
            ending()
        check(load.join(WAIT), f"letters without an answer: {len(load.waiting)}")
        same([one.reply for one in load.refused], [], "letters refused")
        coming = {number_of(arrived.id): arrived for _, arrived in letters}
        going = {note.number: note for note in notes}
        files: dict[int, list[Host]] = {}
        reports: Counter[str] = Counter()
        mails: dict[int, list[Letter]] = {}
        returned = {note.number for note in notes if note.expected is None}
        unserved = Counter(written(note.to) for note in notes if note.expected is None)

        def all_there() -> bool:
            self.look_at_host(files, reports)
            self.look_at_sink(mails)
            return coming.keys() <= files.keys() and going.keys() - returned <= mails.keys() and \
                not unserved - reports
        try:
            until(all_there, WAIT, "letters and notes to arrive")
        except Failed as why:
            raise Failed(f"{why}: letters {sorted(coming.keys() - files.keys())[:5]}, notes "
                         f"{sorted(going.keys() - returned - mails.keys())[:5]}, reports {sorted(unserved - reports)[:5]}")
        if ending is not None:
            self.ovvm.wait_empty(WAIT)
            all_there()
        same(reports - unserved if ending is None else Counter(reports.keys() - unserved.keys()), Counter(),
             "notes returned that have a reader")
        self.judge(coming, files, going, mails, once=ending is None)

    def look_at_host(self, files: dict[int, list[Host]], reports: Counter[str]) -> None:
        with self.host.changed:
            new = self.host.received[self.at_host:]
        self.at_host += len(new)
        for spool in new:
            text = "\n".join(note_lines(spool))
            mark, reason = MARK.search(text), RETURNED.search(text)
            if mark and mark[1] == "L":
                files.setdefault(int(mark[2]), []).append(spool.job.origin)
                continue
            check(reason and spool.job.origin == POSTMAST, f"a file of {spool.job.origin} that nobody sent: {text}")
            reports[reason[1]] += 1  # type: ignore[index]

    def look_at_sink(self, mails: dict[int, list[Letter]]) -> None:
        with self.sink.changed:
            new = self.sink.letters[self.at_sink:]
        self.at_sink += len(new)
        for letter in new:
            mark = MARK.search(letter.content.decode("utf-8", "replace"))
            check(mark and mark[1] == "N", f"mail that nobody sent: {letter.content!r}")
            mails.setdefault(int(mark[2]), []).append(letter)  # type: ignore[index]

    def judge(self, coming: dict[int, Arrived], files: dict[int, list[Host]], going: dict[int, Note],
              mails: dict[int, list[Letter]], once: bool) -> None:
        for number, origins in files.items():
            check(number in coming, f"letter {number} came again after its round")
            arrived = coming[number]
            check(len(origins) == 1 or not once, f"letter {number} came {len(origins)} times")
            for origin in origins:
                if arrived.sender:
                    self.model.came_from(origin, arrived.sender)
                else:
                    same(origin, POSTMAST, "whom a letter of nobody comes from")
            arrived.proxy = origins[0]
            if arrived.sender:
                self.model.letters.append(arrived)
        for number, letters in mails.items():
            check(number in going, f"note {number} came again after its round")
            note = going[number]
            check(len(letters) == 1 or not once, f"note {number} came {len(letters)} times")
            for letter in letters:
                same([one.lower() for one in letter.recipients], [note.expected], f"who gets a note to {written(note.to)}")
                same(letter.header("In-Reply-To").strip(), note.threaded, f"what note {number} answers")
        if len(self.model.letters) > KEPT:
            random.shuffle(self.model.letters)
            del self.model.letters[KEPT // 2:]

    # --- operators ---

    def operator(self) -> None:
        random.choice((self.register, self.register, self.register, self.retire, self.people_change,
                       self.wrong_table, self.ask))()
        self.counts["operator"] += 1

    def register(self) -> None:
        mail = random.choice(list(self.model.shown) or ["x@example.com"]) if random.random() < 0.5 else \
            f"op{self.next()}@example.com"
        dice = random.random()
        if dice < 0.4:
            answer = self.ovvm.ovvm("register", "add", mail)
            self.model.came_from(parsed(answer["host"]), mail)
            return
        host = (random.choice((MAILNODE, BRANCH)), f"OP{self.next()}") if dice < 0.7 or not self.model.owner else \
            random.choice(list(self.model.owner))
        done = self.ovvm.run("register", "add", mail, written(host))
        if self.model.owner.get(host, mail) != mail:
            same(done.returncode, 3, f"exit status of giving {written(host)} to another ({done.stderr})")
            return
        same(done.returncode, 0, f"exit status of giving {written(host)} to {mail} ({done.stderr})")
        self.model.shown.pop(mail, None)
        self.model.came_from(host, mail)

    def retire(self) -> None:
        if not self.model.owner:
            return
        host = random.choice(list(self.model.owner))
        mail = self.model.owner[host]
        self.ovvm.ovvm("register", "remove", written(host))
        self.model.retired.add(host)
        if self.model.shown.get(mail) != host:
            return
        del self.model.shown[mail]
        now = [parsed(one["host"]) for one in self.ovvm.ovvm("who", mail)["hosts"] if one["main"]]
        if now:
            same(self.model.owner.get(now[0]), mail, f"owner of {written(now[0])}, which is shown now")
            check(now[0] not in self.model.retired, f"{written(now[0])} is out of use and shown")
            self.model.shown[mail] = now[0]
        else:
            left = [host for host, owner in self.model.owner.items() if owner == mail and host not in self.model.retired]
            same(left, [], f"addresses of {mail} that could be shown")

    def write_people(self, listed: dict[str, str]) -> None:
        lines = [f"{mail},{mail.split('@')[0].replace('.', ' ').title()}{',' + host if host else ''}\n"
                 for mail, host in listed.items()]
        self.ovvm.people.write_text("".join(lines))

    def people_change(self) -> None:
        """Some come, some go, some get an address of the operator's choice, now and then one that is another's."""
        listed = {mail: host for mail, host in self.model.listed.items() if random.random() < 0.9}
        for _ in range(random.randrange(PEOPLE // 3)):
            names = random.choice(("john", "jane", "max")), random.choice(("doe", "roe", "mustermann"))
            mail = f"{names[0]}.{names[1]}@site{random.randrange(PEOPLE)}.example"
            listed[mail] = ""
        wrong = random.random() < 0.1 and self.model.owner
        for mail in random.sample(sorted(listed), min(2, len(listed))):
            listed[mail] = f"{MAILNODE}(H{self.next()})"
        if wrong and listed:
            listed[random.choice(sorted(listed))] = written(random.choice(list(self.model.owner)))
        before_us = self.model.listed
        self.write_people(listed)
        done = self.ovvm.run("tables", "reload", "--confirm")
        taken = [host for mail, host in listed.items() if host and self.model.owner.get(parsed(host), mail) != mail]
        given = [host for host in listed.values() if host]
        if taken or len(set(given)) < len(given):
            same(done.returncode, 3, f"exit status of a people file with {taken}")
            self.write_people(before_us)
            same(self.ovvm.run("tables", "reload", "--confirm").returncode, 0, "exit status of the former people file")
        else:
            same(done.returncode, 0, f"exit status of the reload ({done.stderr})")
            self.model.listed = listed
        self.compare(read=True)

    def wrong_table(self) -> None:
        text = self.ovvm.people.read_text()
        self.ovvm.people.write_text(text + "no address\n")
        same(self.ovvm.run("tables", "reload").returncode, 3, "exit status of a reload with a wrong line")
        self.ovvm.people.write_text(text)
        self.compare(read=False)

    def ask(self) -> None:
        if self.model.shown:
            mail, host = random.choice(list(self.model.shown.items()))
            hosts = {one["host"]: one["main"] for one in self.ovvm.ovvm("who", mail)["hosts"]}
            same(hosts.get(written(host)), True, f"who {mail} is shown as")

    def compare(self, read: bool, renewed: bool = False) -> None:
        rows: list[dict[str, object]] = []
        after: list[str] = []
        while page := self.ovvm.ovvm("register", "list", *after)["registrations"]:
            rows += page
            after = ["--after", page[-1]["host"]]
        before = self.model.shown
        self.model.table(rows, read)
        if read and not renewed:
            self.model.loaded(before)

    # --- what happens to a connector ---

    def restart(self) -> None:
        self.ovvm.stop()
        self.ovvm.start()
        self.compare(read=True)

    def kill(self) -> None:
        self.ovvm.kill()
        self.ovvm.start()

    def other_rule(self) -> None:
        self.ovvm.stop()
        self.rule = (self.rule + 1) % len(RULES)
        self.ovvm.sections["connector"]["proxy-rule"] = RULES[self.rule]
        self.ovvm.write_conf()
        self.ovvm.start()
        self.compare(read=True)
        if random.random() < 0.7:
            self.ovvm.ovvm("proxy", "generate", "--renew")
            self.compare(read=True, renewed=True)

    def make_backup(self) -> None:
        self.ovvm.wait_empty(WAIT)
        self.compare(read=False)
        file = self.ovvm.directory / f"backup{self.next()}"
        self.ovvm.ovvm("backup", str(file))
        if self.backup:
            self.backup[0].unlink(missing_ok=True)
        kept = Path(shutil.move(file, self.sink_folder()))
        self.backup = kept, copy.deepcopy(self.model)

    def sink_folder(self) -> Path:
        folder = self.ovvm.directory.parent / (self.ovvm.directory.name + "-kept")
        folder.mkdir(exist_ok=True)
        self.folder = folder
        return folder / f"backup{self.number}"

    def lose_and_restore(self) -> None:
        """The ledger is lost with all that came since the backup. What was forgotten may never be given to others."""
        if self.backup is None:
            self.make_backup()
            return
        assert self.backup
        file, then = self.backup
        self.ovvm.wait_empty(WAIT)
        self.ovvm.stop()
        shutil.rmtree(self.ovvm.state)
        self.ovvm.state.mkdir()
        self.ovvm.ovvm("restore", str(file))
        now, self.model = self.model, copy.deepcopy(then)
        self.model.lost = {**now.lost, **{host: mail for host, mail in now.owner.items()
                                          if host not in then.owner and now.kind.get(host, "number") == "number"}}
        known = {letter.id for letter in then.letters}
        for letter in now.letters:
            if letter.id not in known:
                letter.forgotten = True
                self.model.letters.append(letter)
        self.model.listed = now.listed
        self.ovvm.start()
        self.compare(read=True, renewed=True)

    def move(self) -> None:
        """To another computer, which goes on; or the export is taken back."""
        file = self.ovvm.directory / f"bundle{self.next()}"
        self.ovvm.wait_empty(WAIT)
        done = self.ovvm.ovvm("relocate", "export", str(file), "--drain", "5")
        self.ovvm.stop()
        if random.random() < 0.4:
            self.counts["exports taken back"] += 1
            self.ovvm.ovvm("relocate", "cancel", done["bundle"], "--never-activated")
        else:
            old, self.ovvm = self.ovvm, self.instance()
            for name, section, key in self.doors():
                self.ovvm.sections[section][key] = self.place[name]
            self.ovvm.smtp_port, self.ovvm.link_port = old.smtp_port, old.link_port
            self.ovvm.sections["connector"]["proxy-rule"] = RULES[self.rule]
            self.ovvm.write_conf()
            self.write_people(self.model.listed)
            self.ovvm.ovvm("relocate", "import", str(file))
            receipt = self.ovvm.ovvm("relocate", "activate")["receipt"]
            old.ovvm("relocate", "done", receipt)
            shutil.rmtree(old.directory, ignore_errors=True)
        self.ovvm.start()
        self.compare(read=True)

    def round(self, count: int) -> int:
        """One batch of mail and what comes between; how many steps that was."""
        dice = random.random()
        before = self.counts["operator"]
        killed = dice < 0.15
        self.mail(count, self.kill if killed else None)
        self.counts["kills"] += killed
        if killed:
            self.compare(read=True)
        for _ in range(random.randrange(4)):
            self.operator()
        dice = random.random()
        for share, name, step in ((0.10, "restarts", self.restart), (0.18, "rules", self.other_rule),
                                  (0.24, "backups", self.make_backup), (0.30, "restores", self.lose_and_restore),
                                  (0.38, "moves", self.move), (1.0, "", lambda: None)):
            if dice < share:
                step()
                self.counts[name] += bool(name)
                break
        return count + self.counts["operator"] - before + killed + (dice < 0.38)


def number_of(identity: str) -> int:
    return int(identity[1:])


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, default=4000, help="letters, notes, operators' orders and mishaps together")
    parser.add_argument("--batch", type=int, default=BATCH, help="letters and notes of a round")


def main() -> None:
    tap, args = start(__doc__, limit=600, options=options)
    world = World(args.build)
    done = 0
    with tap.case(f"{args.steps} steps: no address changes hands, no letter goes to the wrong person"):
        try:
            while done < args.steps:
                done += world.round(args.batch)
                if done // 5000 > (done - args.batch) // 5000:
                    print(f"# {done} steps, {len(world.model.owner)} host addresses", flush=True)
            world.ovvm.wait_empty(WAIT)
            world.compare(read=False)
        except BaseException:
            print(f"# after {done} steps", flush=True)
            world.close(fine=False)
            raise
    if not tap.failures:
        world.close(fine=True)
    print(f"# {done} steps: {', '.join(f'{count} {name}' for name, count in sorted(world.counts.items()) if name)}")
    print(f"# {len(world.model.owner)} host addresses of {len(world.model.shown)} people")
    if world.backup:
        shutil.rmtree(world.backup[0].parent, ignore_errors=True)
    tap.finish()


if __name__ == "__main__":
    main()
