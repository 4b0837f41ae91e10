"""What the benchmarks share: servers to measure, the load generator, CPU time and syncs of a server, and medians."""

import json
import os
import re
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from harness import Failed, Instance, Skip, find, until  # noqa: E402
from peer.instance import members, version  # noqa: E402
from peer.postfix import Postfix  # noqa: E402

RECIPIENT = "bench@vm.example.org"
SYNCS = ("fsync", "fdatasync", "sync_file_range", "msync", "syncfs")
LOAD_LIMIT = 300  # seconds for one round
SYNC_LIMIT = 60  # and for one that strace watches
# So that no limit or pause of Postfix is measured: sessions and letters as many as come, no waiting for its queue
# manager while mail arrives faster than it goes, no new processes all the time.
POSTFIX_OPEN = {"smtpd_client_connection_count_limit": "0", "smtpd_client_connection_rate_limit": "0",
                "smtpd_client_message_rate_limit": "0", "in_flow_delay": "0", "max_use": "100000"}


class OurServer:
    """ovvmd of a release build, with a log file as Postfix has one."""

    name = "ovvmd"

    def __init__(self, build, conf, relay=None):
        if not find("ovvmd", build):
            raise Skip(f"ovvmd is not under {build}")
        self.instance = Instance(build, relay=relay, conf=conf, wrapper=["sh", "-c", 'exec "$@" 2>>"$OVVM_LOG"', "sh"])
        self.instance.environment["OVVM_LOG"] = str(self.instance.directory / "ovvmd.log")

    def __enter__(self):
        self.instance.__enter__()
        self.port = self.instance.smtp_port
        self.group = self.instance.process.pid  # the wrapper has become ovvmd
        return self

    def __exit__(self, *what):
        self.instance.__exit__(*what)


class PostfixServer:
    """Postfix from build/peers, with its limits out of the way."""

    name = "Postfix"

    def __init__(self, transports, settings):
        self.peer = Postfix(transports=transports, settings=POSTFIX_OPEN | settings, processes=200)

    def __enter__(self):
        self.peer.start()
        self.port = self.peer.port
        self.group = self.peer.process.pid
        return self

    def __exit__(self, *_):
        self.peer.stop()


def cpu_seconds(group):
    """User and system time of a process group so far, with that of its children that have ended."""
    ticks = 0
    for pid in members(group):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def load(build, server, letters, sessions, per_connection, size=4096, limit=LOAD_LIMIT, rate=0):
    """One round of smtpload, as fast as letters are taken or at `rate` letters/s; its result, with the server's CPU time
    per letter in ms as `cpu_ms`. Failed when the server did not take every letter: a rate of refusals is no rate."""
    before = cpu_seconds(server.group)
    done = subprocess.run(
        [str(build / "bench" / "smtpload"), "-s", str(sessions), "-n", str(letters), "-k", str(per_connection), "-b",
         str(size), "-p", "-r", RECIPIENT, "-t", str(limit), *(["-R", str(rate)] if rate else []), str(server.port)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit + 30)
    if done.returncode != 0:
        raise Failed(f"{server.name} did not take every letter: {done.stdout}{done.stderr}")
    result = json.loads(done.stdout)
    result["cpu_ms"] = (cpu_seconds(server.group) - before) * 1000 / letters
    return result


def traced(pid):
    """Under strace, and running on. A process that has ended needs no tracing."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    return "TracerPid:\t0\n" not in status and not re.search(r"^State:\t[tT]", status, re.M)


def syncs_per_letter(build, server, letters, sessions, per_connection):
    """How often a server syncs for a letter, by strace, which slows it down: a pass of its own, never timed. Skip where
    strace may not look, or where the server does not get along with being watched."""
    if shutil.which("strace") is None:
        raise Skip("strace is not here")
    with tempfile.TemporaryDirectory(prefix="ovvm-strace-") as folder:
        counts, said = Path(folder, "counts"), Path(folder, "said")
        pids = members(server.group)
        with said.open("w") as out:
            trace = subprocess.Popen(["strace", "-f", "-c", "-e", "trace=" + ",".join(SYNCS), "-o", str(counts),
                                      *(f"-p{pid}" for pid in pids)], stdin=subprocess.DEVNULL, stderr=out)
        try:
            until(lambda: trace.poll() is not None or all(map(traced, pids)), 30, "strace to look at the server")
            if trace.poll() is not None:
                raise Skip(f"strace may not look at the server: {said.read_text().strip()[-200:]}")
            load(build, server, letters, sessions, per_connection, limit=SYNC_LIMIT)
        except Failed as why:
            raise Skip(f"no count of syncs: {why}") from None
        finally:
            if trace.poll() is None:
                trace.send_signal(signal.SIGINT)
                trace.wait(30)
        table = counts.read_text()
    calls = sum(int(row[1]) for row in re.finditer(
        r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(?:" + "|".join(SYNCS) + r")$", table, re.M))
    return calls / letters


def report_line(process, limit, whose):
    """The next line of JSON of a program of ours."""
    if not select.select([process.stdout], [], [], limit)[0]:
        raise Failed(f"waited {limit} s for {whose} to have every letter")
    line = process.stdout.readline()
    if not line:
        raise Failed(f"{whose} ended before it had every letter")
    return json.loads(line)


class FastSink:
    """smtpsink as the next hop of a relay; line() gives what it counted, after each `letters` letters."""

    def __init__(self, build, letters):
        self.build, self.letters = build, letters

    def __enter__(self):
        self.process = subprocess.Popen([str(self.build / "bench" / "smtpsink"), str(self.letters)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])
        return self

    def line(self):
        return report_line(self.process, LOAD_LIMIT, "the sink")

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.communicate(timeout=30)


def median(results, key):
    return statistics.median(result[key] for result in results)


def spread(results, key="rate"):
    """`median (least..most)`"""
    values = [result[key] for result in results]
    return f"{statistics.median(values):7.0f} ({min(values):.0f}..{max(values):.0f})"


def machine():
    """What a reader must know to compare numbers: processors, kernel, file system of the spools."""
    uname = os.uname()
    place = os.environ.get("TMPDIR", "/tmp")
    kind = subprocess.run(["stat", "-f", "-c", "%T", place], capture_output=True, text=True).stdout.strip()
    return f"{os.cpu_count()} processors, {uname.machine}, Linux {uname.release}; spools under {place} ({kind})"


__all__ = ["FastSink", "OurServer", "PostfixServer", "RECIPIENT", "ROOT", "Skip", "cpu_seconds", "load", "machine",
           "median", "report_line", "spread", "syncs_per_letter", "until", "version"]
