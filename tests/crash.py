"""Kill the connector under load, again and again, and count: nothing acknowledged may be lost.

Shared by promise.py (killed process) and powercut.py (killed process whose unsynced writes are gone as well).
"""

import random
import signal
from argparse import Namespace
from pathlib import Path
from typing import Callable

from harness import Failed, Skip, Tap, check, failpoints, until
from traffic import Traffic

POINT_LIMIT = 30.0
BATCH = 1000  # kills of one instance
SESSIONS = 4  # of the load, and of the connector towards its relay

# Copies too many that one death at a failpoint may leave where nothing else is under way: (at the host, at the sink).
# Authority: the state table of src/store/README.md. Points that are not named may leave none. A letter whose 250 never
# reached its client is offered again by the client and not counted here.
ONE_COPY = {
    "nje.out.after-data": (1, 0),  # H1: the host may have kept it
    "nje.out.c0-received": (1, 0),  # H2
    "host_out.before-remove": (1, 0),  # H2
    "smtp.out.after-dot": (0, 1),  # R1: the relay may have taken it
    "smtp.out.250-received": (0, 1),  # R2
    "mail_out.before-settle": (0, 1),  # R2
    "store.before-commit": (1, 1),  # whichever commit it is: also the one that ends H2 or R2
}
# Under load other files and letters stand in those windows as well: on the link those that were acknowledged and not
# written down (NJE_RECORDING_MAX) and one on its way, and one letter for each connection.
UNDER_LOAD = (17, SESSIONS)


def account(traffic: Traffic, allowed_host: int, allowed_sink: int) -> str:
    """After the last start: everything promised arrives; copies stay within what is allowed."""
    traffic.quiet()
    traffic.settle()
    host, sink = traffic.duplicates()
    check(host <= allowed_host, f"{host} copies too many at the host, {allowed_host} allowed")
    check(sink <= allowed_sink, f"{sink} copies too many at the sink, {allowed_sink} allowed")
    traffic.conduct()
    return (f"{len(traffic.promised_letters())} letters, {len(traffic.promised_files())} host files; copies: host {host} "
            f"(and {len(traffic.load.uncertain)} answers lost), sink {sink}")


def each_failpoint(tap: Tap, build: Path, url: str | None, passes: tuple[int, ...]) -> None:
    """Dies once at each point, alone and under load, and starts again without it."""
    points = [point for point in failpoints(build) if not point.startswith("relocate.")]  # those are move.py's
    if not points:
        tap.skip("failpoints", "this build has no fault injection (-Dfaults=true)")
        return
    for point in points:
        for number in passes:
            for loaded in (False, True):
                with tap.case(f"killed at {point} (pass {number}, {'under load' if loaded else 'one by one'}): "
                              "nothing acknowledged is lost"), Traffic(build, url=url) as traffic:
                    tap.diagnose(f"{point}:{number}: {_die_once(traffic, point, number, loaded)}")


def _die_once(traffic: Traffic, point: str, number: int, loaded: bool) -> str:
    ovvm = traffic.ovvm
    ovvm.launch(OVVM_FAILPOINT=f"{point}:{number}")
    if loaded:
        traffic.offer_large()
        traffic.offer(12, 6)
        until(lambda: not ovvm.alive() or (len(traffic.at_host()) >= 13 and len(traffic.at_sink()) >= 7), POINT_LIMIT,
              f"death at {point}, or the end of the load")
    else:
        traffic.one_by_one(number + 3, ovvm.alive)
    if ovvm.alive():
        account_running(traffic)
        raise Skip(f"{point} is not passed {number} times by this load; everything arrived once")
    status = ovvm.wait_end(5)
    check(status == -signal.SIGKILL, f"the daemon ended with status {status} before {point}")
    ovvm.start()
    traffic.offer(4, 2)
    return account(traffic, *(UNDER_LOAD if loaded else ONE_COPY.get(point, (0, 0))))


def account_running(traffic: Traffic) -> str:
    """The account of a load in which nothing died."""
    traffic.quiet()
    traffic.settle()
    check(traffic.duplicates() == (0, 0), f"copies without a crash: {traffic.duplicates()}")
    return "all arrived once"


def random_kills(tap: Tap, args: Namespace, url: str | None) -> None:
    """Kills at random moments: `args.kills` in all, at most BATCH of one instance, so that what failed can be read."""
    for first in range(0, args.kills, BATCH):
        kills, seed = min(BATCH, args.kills - first), args.seed + first
        with tap.case(f"killed {kills} times at random moments (seed {seed}): nothing acknowledged is lost"):
            with Traffic(args.build, url=url, retry_limit=args.limit) as traffic:
                chance = random.Random(seed)
                for _ in range(kills):
                    traffic.top_up()
                    _kill_at(traffic, chance.random() ** 2)
                traffic.ovvm.start()
                host, sink = UNDER_LOAD
                tap.diagnose(account(traffic, host * kills, sink * kills))


def _kill_at(traffic: Traffic, moment: float) -> None:
    """Starts, lets a random amount of traffic through (or, rarely, not even the start), kills."""
    ovvm = traffic.ovvm
    if moment > 0.9:
        ovvm.launch()
        before = len(ovvm.log_lines())
        _quietly(lambda: len(ovvm.log_lines()) > before, 2)
    else:
        ovvm.start()
        wanted = len(traffic.load.accepted) + len(traffic.promised_files()) + int(moment * 18)
        _quietly(lambda: len(traffic.load.accepted) + len(traffic.promised_files()) >= wanted, 5)
    ovvm.kill()


def _quietly(ready: Callable[[], object], limit: float) -> None:
    """A wait that only chooses a moment: running into its limit is no failure."""
    try:
        until(ready, limit, "a moment")
    except Failed:
        pass
