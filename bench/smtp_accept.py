#!/usr/bin/env python3
"""How fast is mail accepted so that it survives a power cut? ovvmd beside Postfix, the same letters, in one run.

Both get 4 KB letters from the same load generator and answer 250 only when the letter is on disk. Neither has anything
to deliver meanwhile: the connector's link never connects, so letters wait in its ledger; Postfix puts them on hold.
Rounds alternate between the two, each case with fresh spools. bench/README.md says how to read the numbers.
"""

import argparse
import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path

import measure
from measure import OurServer, PostfixServer, Skip, load, median, spread, syncs_per_letter

# A depth that is never reached: back-pressure is not what is measured here.
OURS = {"limits": {"queue-depth": "10000000"}}
ON_HOLD = {"smtpd_recipient_restrictions": "static:HOLD, permit"}
WARM_UP = 100  # letters before the first round
SYNC_LETTERS = 400


def servers(build):
    """Makers of the servers that can run here; what is absent is said once."""
    found = []
    for make in (lambda: OurServer(build, OURS), lambda: PostfixServer({"vm.example.org": "discard:"}, ON_HOLD)):
        try:
            make()
        except Skip as why:
            print(f"# left out: {why}")
        else:
            found.append(make)
    return found


def held(server):
    """Letters that lie in Postfix's hold queue."""
    return sum(len(files) for _, _, files in os.walk(server.peer.path("queue", "hold")))


def case(args, makers, sessions, per_connection):
    """All rounds of one case: {server name: [result of each round]}, {server name: syncs per letter or the reason}."""
    results, syncs = {}, {}
    with ExitStack() as stack:
        running = [stack.enter_context(make()) for make in makers]
        for server in running:
            results[server.name] = []
            load(args.build, server, WARM_UP, sessions, per_connection)
        for number in range(args.rounds):
            for server in running if number % 2 == 0 else reversed(running):
                results[server.name].append(load(args.build, server, args.letters, sessions, per_connection))
        for server in running:
            if server.name == "Postfix" and held(server) != WARM_UP + args.rounds * args.letters:
                sys.exit(f"smtp_accept: Postfix took {WARM_UP + args.rounds * args.letters} letters and holds "
                         f"{held(server)}")
            try:
                syncs[server.name] = syncs_per_letter(args.build, server, SYNC_LETTERS, sessions, per_connection)
            except Skip as why:
                syncs[server.name] = str(why)
                print(f"# {server.name}: {why}")
    return results, syncs


def line(name, sessions, mode, results, syncs, ratio):
    sync = f"{syncs:.2f}" if isinstance(syncs, float) else "-"
    print(f"{mode:<9} {sessions:>8}  {name:<8} {spread(results):<22} {median(results, 'p50_ms'):8.2f} "
          f"{median(results, 'p99_ms'):8.2f} {median(results, 'cpu_ms'):9.2f} {sync:>7} {ratio:>6}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=measure.ROOT / "build" / "release", help="release build")
    parser.add_argument("--letters", type=int, default=2000, help="letters of one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sessions", default="1,8,32", help="numbers of concurrent sessions")
    parser.add_argument("--json", type=Path, help="also write every round's result there")
    args = parser.parse_args()
    makers = servers(args.build)
    if not makers:
        sys.exit("smtp_accept: nothing to measure")
    print(f"# {measure.machine()}")
    print(f"# {args.rounds} rounds of {args.letters} letters of 4 KB; letters/s: median (least..most)")
    print(f"{'letters':<9} {'sessions':>8}  {'server':<8} {'letters/s':<22} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms':>9} "
          f"{'syncs':>7} {'ratio':>6}")
    everything = []
    for per_connection, mode in ((1, "one/conn"), (0, "many/conn")):
        for sessions in map(int, args.sessions.split(",")):
            results, syncs = case(args, makers, sessions, per_connection)
            ratio = ""
            if len(results) == 2:
                ratio = f"{median(results['ovvmd'], 'rate') / median(results['Postfix'], 'rate'):.2f}"
            for name in results:
                line(name, sessions, mode, results[name], syncs[name], ratio if name == "ovvmd" else "")
            everything.append({"mode": mode, "sessions": sessions, "results": results, "syncs": syncs})
    if args.json:
        args.json.write_text(json.dumps({"machine": measure.machine(), "cases": everything}, indent=1) + "\n")


if __name__ == "__main__":
    main()
