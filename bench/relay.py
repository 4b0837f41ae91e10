#!/usr/bin/env python3
"""How many letters a second pass through a relay, from the first letter offered to the last one taken by the next hop?

Postfix between the load generator and a sink that takes everything: the measure for the connector's own two ways
(SMTP to NJE, NJE to SMTP), which have one side in common with it. bench/README.md says how to read the numbers.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import measure
from measure import FastSink, PostfixServer, Skip, load, median, spread, until

RELAY_LIMIT = 300  # seconds until the last letter must have left


def postfix_round(args, sessions):
    """One round on a fresh Postfix and a fresh sink: accepted and relayed letters a second."""
    with FastSink(args.build) as sink, PostfixServer(
            {"vm.example.org": f"smtp:[127.0.0.1]:{sink.port}"},
            {"default_destination_concurrency_limit": "32", "initial_destination_concurrency": "32"}) as server:
        begun = time.monotonic()
        accepted = load(args.build, server, args.letters, sessions, 0)
        until(lambda: not server.peer.queue(), RELAY_LIMIT, "Postfix's queue to be empty")
        took = time.monotonic() - begun
        relayed = sink.result()
    if relayed["letters"] != args.letters:
        sys.exit(f"relay: {args.letters} letters were accepted and {relayed['letters']} came out")
    return {"rate": args.letters / took, "accept_rate": accepted["rate"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=measure.ROOT / "build" / "release", help="release build")
    parser.add_argument("--letters", type=int, default=2000, help="letters of one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sessions", default="1,8,32", help="numbers of concurrent sessions")
    parser.add_argument("--json", type=Path, help="also write every round's result there")
    args = parser.parse_args()
    try:
        PostfixServer({}, {})
    except Skip as why:
        sys.exit(f"relay: {why}")
    print(f"# {measure.machine()}")
    print(f"{'sessions':>8}  {'relay':<8} {'letters/s through':<22} {'accepted/s':>10}")
    everything = []
    for sessions in map(int, args.sessions.split(",")):
        results = [postfix_round(args, sessions) for _ in range(args.rounds)]
        print(f"{sessions:>8}  {'Postfix':<8} {spread(results):<22} {median(results, 'accept_rate'):10.0f}", flush=True)
        everything.append({"sessions": sessions, "results": {"Postfix": results}})
    if args.json:
        args.json.write_text(json.dumps({"machine": measure.machine(), "cases": everything}, indent=1) + "\n")


if __name__ == "__main__":
    main()
