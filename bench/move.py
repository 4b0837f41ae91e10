#!/usr/bin/env python3
"""How long a large instance needs to move: a million registrations, a million correlation rows, ten thousand letters that
wait. Shows seconds and the largest memory of export, import and activate, and how long the links are down.
"""

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from harness import HOST, MAILNODE, Instance, Skip, check, find, until  # noqa: E402
from peer.mail import Client  # noqa: E402
from traffic import letter  # noqa: E402

DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid(number: int) -> str:
    return "01" + "".join(DIGITS[number >> 5 * place & 31] for place in range(23, -1, -1))


def fill(ovvm: Instance, registrations: int, correlations: int, letters: int) -> None:
    """As an instance has it after years: written straight into its ledger, from one letter that it took itself."""
    now = int(time.time() * 1e6)
    with closing(sqlite3.connect(f"{ovvm.state}/ovvm.db")) as db, db:
        base = db.execute("SELECT max(key) FROM person").fetchone()[0]
        db.executemany("INSERT INTO person VALUES (?, ?, ?, 1, ?, ?)",
                       ((base + n, f"person.number{n}@company{n % 5000}.example".encode(), f"Person Number {n}".encode(), now,
                         now) for n in range(1, registrations + 1)))
        db.executemany("INSERT INTO host_address (node, user_id, person, kind, main, made_us, kind_us) VALUES (?, ?, ?, 2, 1, ?, ?)",
                       ((MAILNODE, f"X{n + 1:07}", base + n, now, now) for n in range(1, registrations + 1)))
        db.execute("UPDATE sequence SET next = ? WHERE name = 'registration'", (registrations + 2,))
        columns = [row[1] for row in db.execute("PRAGMA table_info(correlation)")]
        row: dict[str, Any] = {"letter": "", "host": f"{HOST}(GEORGEB)", "direction": 1, "refs": b"", "reply_to": b""}
        names = [name for name in columns if name != "key"]
        db.executemany(f"INSERT INTO correlation ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
                       ([{**row, "letter": ulid(n), "proxy": f"{MAILNODE}(X{n % registrations + 2:07})",
                          "message_id": f"<{n}.letter@company{n % 5000}.example>".encode(),
                          "subject": f"Quarterly numbers {n}".encode(), "stamp": str(29000000 + n).encode(),
                          "at_us": now}[name] for name in names] for n in range(correlations)))
        item = db.execute("SELECT * FROM item WHERE queue = 4").fetchone()
        place = {column[1]: at for at, column in enumerate(db.execute("PRAGMA table_info(item)"))}
        recipients = db.execute("SELECT * FROM recipient WHERE item = ?", (item[place["key"]],)).fetchall()
        chunks = db.execute("SELECT chunk, bytes FROM content WHERE chunk / 65536 = ?", (item[place["key"]],)).fetchall()
        for n in range(1, letters):
            one = list(item)
            key = one[place["key"]] = item[place["key"]] + n
            one[place["id"]] = ulid(n)
            db.execute(f"INSERT INTO item VALUES ({', '.join('?' * len(one))})", one)
            for recipient in recipients:
                db.execute(f"INSERT INTO recipient VALUES ({', '.join('?' * len(recipient))})", (key, *recipient[1:]))
            for chunk, data in chunks:
                db.execute("INSERT INTO content VALUES (?, ?)", (key * 65536 + chunk % 65536, data))


def measure(ovvm: Instance, *words: str) -> tuple[float, float]:
    """Seconds, and the largest memory in MB."""
    tool = find("ovvm", ovvm.build)
    assert tool
    begun = time.monotonic()
    process = subprocess.Popen([str(tool), "-c", str(ovvm.conf), *words, "--json"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    check(process.returncode == 0, f"ovvm {' '.join(words)}: exit status {process.returncode}")
    return time.monotonic() - begun, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("build/release"))
    parser.add_argument("--registrations", type=int, default=1000000)
    parser.add_argument("--correlations", type=int, default=1000000)
    parser.add_argument("--letters", type=int, default=10000)
    parser.add_argument("--json", type=Path, help="writes the figures to this file as well")
    arguments = parser.parse_args()
    if not find("ovvm", arguments.build):
        raise Skip(f"ovvm is not under {arguments.build}")
    old, new = Instance(arguments.build), Instance(arguments.build)
    file = old.directory / "bundle"
    try:
        old.start()
        with Client(old.smtp) as client:
            check(client.deliver(letter("M0000001", "a line of the letter\n" * 100)), "250")
        until(lambda: any(q["ready"] for q in old.ovvm("status")["queues"] if q["name"] == "host_out"), 20, "the file")
        old.stop()
        fill(old, arguments.registrations, arguments.correlations, arguments.letters)
        old.start()
        figures = {"export": measure(old, "relocate", "export", str(file), "--drain", "5")}
        old.stop()
        figures["inspect"] = measure(new, "relocate", "inspect", str(file))
        figures["import"] = measure(new, "relocate", "import", str(file))
        figures["activate"] = measure(new, "relocate", "activate")
        begun = time.monotonic()
        new.start()
        figures["start"] = (time.monotonic() - begun, 0.0)
        new.stop()
    finally:
        old.__exit__(None)
        new.__exit__(None)
    print(f"{arguments.registrations} registrations, {arguments.correlations} correlation rows, {arguments.letters} letters")
    for name, (seconds, memory) in figures.items():
        print(f"  {name:<10}{seconds:8.2f} s" + (f"{memory:9.0f} MB" if memory else ""))
    down = sum(figures[name][0] for name in ("export", "import", "activate", "start"))
    print(f"  links down{down:8.2f} s, without the copying of the bundle and the people between the steps")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
