#!/usr/bin/env python3
"""How many letters a second pass through a relay, from the first letter offered to the last one taken by the next hop?

The connector's two ways, SMTP to NJE and NJE to SMTP, beside Postfix from SMTP to SMTP: the same letters, the same load
generator and sink where two ways have them in common, in alternating rounds of one run. Then each way at half the rate
it has just shown, for the time that a letter takes. bench/README.md says how to read the numbers.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import measure
from measure import FastSink, OurServer, PostfixServer, Skip, cpu_seconds, load, median, report_line, spread
from harness import HOST, MAILNODE, Failed, free_port, until
from peer import netdata

RELAY_LIMIT = 300  # seconds until the last letter must have come
# A depth that is never reached: back-pressure is not what is measured here. As many connections to the next hop as
# Postfix may have.
OURS = {"limits": {"queue-depth": "10000000"}, "smtp-out": {"connections": "32"}}
NEIGHBOURS_MAX = 8  # that send at once; each waits for the C0 of one file before the next, as a session waits for its 250
WORDS = "All work and no mail makes the connector a dull node. "


def note(size):
    """The cards of a CMS note of `size` bytes of text with a stamp, as smtpload's letters have them."""
    text = (WORDS * (size // len(WORDS) + 1))[:size]
    lines = [text[at:at + 76] for at in range(0, len(text), 76)]
    return b"".join(netdata.cms_note(lines, origin=(HOST, "GEORGEB"), to=(MAILNODE, "ALICE"),
                                     when=datetime(2026, 11, 24, 14, 3, 11), subject="letter STAMP0000000000000000"))


class Host:
    """njeload on a connector's link, as the neighbour `node`."""

    def __init__(self, build, port, letters, cards, node=HOST):
        self.process = subprocess.Popen(
            [str(build / "bench" / "njeload"), "-n", str(letters), "-u", node, "-s", str(cards), str(port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "up\n":
            raise Failed("njeload does not sign on")

    def send(self, letters, rate):
        self.process.stdin.write(f"send {letters} {rate}\n")
        self.process.stdin.flush()

    def line(self):
        return report_line(self.process, RELAY_LIMIT, "the host")

    def close(self):
        self.process.communicate(timeout=30)


class PostfixWay:
    """SMTP to SMTP through Postfix."""

    name = "Postfix SMTP to SMTP"

    def __init__(self, args, sessions):
        self.args, self.sessions, self.stack = args, sessions, ExitStack()

    def __enter__(self):
        self.sink = self.stack.enter_context(FastSink(self.args.build, self.args.letters))
        self.server = self.stack.enter_context(PostfixServer(
            {"vm.example.org": f"smtp:[127.0.0.1]:{self.sink.port}"},
            {"default_destination_concurrency_limit": "32", "initial_destination_concurrency": "32"}))
        return self

    def __exit__(self, *what):
        self.stack.__exit__(*what)

    def round(self, rate):
        """One round, at `rate` letters/s or (0) as fast as they are accepted; what the receiver saw, with `cpu_ms`."""
        before = cpu_seconds(self.server.group)
        self.offer(rate)
        result = self.receiver.line()
        until(self.idle, RELAY_LIMIT, f"{self.name}: an empty queue")
        result["cpu_ms"] = (cpu_seconds(self.server.group) - before) * 1000 / self.args.letters
        return result

    @property
    def receiver(self):
        return self.sink

    def offer(self, rate):
        load(self.args.build, self.server, self.args.letters, self.sessions, 0, rate=rate)

    def idle(self):
        return not self.server.peer.queue()


class ToHost(PostfixWay):
    """SMTP to NJE."""

    name = "ovvmd SMTP to NJE"

    def __enter__(self):
        self.sink = self.stack.enter_context(FastSink(self.args.build, self.args.letters))
        self.server = self.stack.enter_context(OurServer(self.args.build, OURS, ("127.0.0.1", self.sink.port)))
        self.host = Host(self.args.build, self.server.instance.link_port, self.args.letters, self.args.cards)
        self.stack.callback(self.host.close)
        return self

    @property
    def receiver(self):
        return self.host

    def idle(self):
        return self.server.instance.waiting() == 0


class ToMail(ToHost):
    """NJE to SMTP, from as many neighbours as the others have SMTP sessions, but not more than NEIGHBOURS_MAX."""

    name = "ovvmd NJE to SMTP"

    def __enter__(self):
        ports = {f"HOST{n}": free_port() for n in range(1, min(self.sessions, NEIGHBOURS_MAX) + 1)}
        links = {f"link {node}": {"kind": "rscs", "listen": f"127.0.0.1:{port}", "allow": "127.0.0.1", "nodes": node}
                 for node, port in ports.items()}
        self.sink = self.stack.enter_context(FastSink(self.args.build, self.args.letters))
        self.server = self.stack.enter_context(OurServer(self.args.build, OURS | links, ("127.0.0.1", self.sink.port)))
        self.hosts = [Host(self.args.build, port, self.args.letters, self.args.cards, node)
                      for node, port in ports.items()]
        for host in self.hosts:
            self.stack.callback(host.close)
        return self

    @property
    def receiver(self):
        return self.sink

    def offer(self, rate):
        shares = [self.args.letters // len(self.hosts)] * len(self.hosts)
        shares[0] += self.args.letters - sum(shares)
        for host, share in zip(self.hosts, shares):
            host.send(share, rate / len(self.hosts))
        for host in self.hosts:
            host.line()


WAYS = {"postfix": PostfixWay, "host": ToHost, "mail": ToMail}


def case(args, sessions):
    """{name of a way: {"full": [results], "half": [results]}}"""
    results = {}
    with ExitStack() as stack:
        ways = [stack.enter_context(WAYS[name](args, sessions)) for name in args.ways.split(",")]
        for way in ways:
            way.round(0)  # to warm up
            results[way.name] = {"full": [], "half": []}
        for number in range(args.rounds):
            for way in ways if number % 2 == 0 else reversed(ways):
                results[way.name]["full"].append(way.round(0))
        for number in range(args.half_rounds):
            for way in ways if number % 2 == 0 else reversed(ways):
                rate = int(median(results[way.name]["full"], "rate") / 2)
                results[way.name]["half"].append(way.round(max(rate, 1)))
    return results


def show(sessions, results):
    base = results.get(PostfixWay.name)
    for name, of_way in results.items():
        full, half = of_way["full"], of_way["half"]
        ratio = f"{median(full, 'rate') / median(base['full'], 'rate'):.2f}" if base else ""
        half_p50, half_p99 = (f"{median(half, key):.1f}" if half else "" for key in ("p50_ms", "p99_ms"))
        print(f"{sessions:>8}  {name:<20} {spread(full):<22} {ratio:>6} {median(full, 'cpu_ms'):7.2f} {half_p50:>9} "
              f"{half_p99:>9}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=measure.ROOT / "build" / "release", help="release build")
    parser.add_argument("--letters", type=int, default=2000, help="letters of one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--half-rounds", type=int, default=3, help="rounds at half the rate")
    parser.add_argument("--sessions", default="1,8,32", help="numbers of concurrent SMTP sessions")
    parser.add_argument("--ways", default="postfix,host,mail", help="which of postfix, host, mail")
    parser.add_argument("--json", type=Path, help="also write every round's result there")
    args = parser.parse_args()
    with tempfile.NamedTemporaryFile(prefix="ovvm-note-") as cards:
        cards.write(note(4096))
        cards.flush()
        args.cards = cards.name
        print(f"# {measure.machine()}")
        print(f"# {args.rounds} rounds of {args.letters} letters of 4 KB; letters/s: median (least..most)")
        print(f"{'sessions':>8}  {'way':<20} {'letters/s':<22} {'ratio':>6} {'CPU ms':>7} {'half: p50':>9} {'p99 ms':>9}")
        everything = []
        for sessions in map(int, args.sessions.split(",")):
            try:
                results = case(args, sessions)
            except Skip as why:
                sys.exit(f"relay: {why}")
            show(sessions, results)
            everything.append({"sessions": sessions, "results": results})
    if args.json:
        args.json.write_text(json.dumps({"machine": measure.machine(), "cases": everything}, indent=1) + "\n")


if __name__ == "__main__":
    main()
