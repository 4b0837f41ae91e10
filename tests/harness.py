"""What every scenario needs: a connector of its own in a temporary directory, limits on every wait, and TAP output.

    tap, args = start(__doc__)
    with tap.case("a letter arrives"):
        with Instance(args.build) as ovvm: …
    tap.finish()

The daemon is ovvmd from $OVVMD, else from the build directory; ovvm stands beside it ($OVVM).
"""

import argparse
import faulthandler
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator, NoReturn, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent))

T = TypeVar("T")
PROGRAM_LIMIT = 900.0  # no scenario may hang a build
START_LIMIT = 20.0
STOP_LIMIT = 30.0
MAILNODE, HOST = "MICROSFT", "MAPLEC1"


class Failed(AssertionError):
    """What the scenario says when the user would lose something."""


def until(ready: Callable[[], T], limit: float, what: str) -> T:
    """Polls until `ready()` gives something true, and returns that. Failed, naming `what`, when the limit passes."""
    deadline = time.monotonic() + limit
    pause = 0.005
    while True:
        found = ready()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Failed(f"waited {limit:g} s for {what}")
        time.sleep(pause)  # between two looks, not instead of one
        pause = min(pause * 1.5, 0.1)


def check(condition: object, what: str) -> None:
    if not condition:
        raise Failed(what)


def same(got: object, expected: object, what: str) -> None:
    if got != expected:
        raise Failed(f"{what}: got {got!r}, expected {expected!r}")


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


# --- TAP ---


class Skip(Exception):
    """This case can't run here, and says why."""


LIVE: set["Instance"] = set()  # daemons that must not outlive this program


def leave(status: int) -> NoReturn:
    """Ends the program and every daemon it started. Threads of peers must not keep a finished test alive."""
    for instance in list(LIVE):
        instance.kill()
    sys.stdout.flush()
    os._exit(status)


def _give_up(limit: float) -> None:
    """Body of the watchdog: shows where everything stands, then leaves."""
    time.sleep(limit)  # the one wait whose event is time itself
    print(f"# gave up after {limit:g} s", flush=True)
    faulthandler.dump_traceback(all_threads=True)
    leave(2)


class Tap:
    def __init__(self) -> None:
        self.count = self.failures = 0

    @contextmanager
    def case(self, name: str) -> Iterator[None]:
        """`ok` unless the body raises; the traceback becomes the diagnostics."""
        try:
            yield
        except Skip as why:
            self.skip(name, str(why))
        except Exception as why:  # every failure of a case is a result, not an end
            self.not_ok(name, traceback.format_exc() if not isinstance(why, Failed) else
                        f"{why}\n{traceback.format_exc(limit=-2)}")
        else:
            self.ok(name)

    def ok(self, name: str) -> None:
        self.count += 1
        print(f"ok {self.count} - {name}", flush=True)

    def not_ok(self, name: str, why: str = "") -> None:
        self.count += 1
        self.failures += 1
        print(f"not ok {self.count} - {name}", flush=True)
        self.diagnose(why)

    def skip(self, name: str, why: str) -> None:
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {why}", flush=True)

    def diagnose(self, text: str) -> None:
        for line in text.rstrip().splitlines():
            print(f"# {line}", flush=True)

    def finish(self) -> NoReturn:
        """The plan; ends the program."""
        print(f"1..{self.count}", flush=True)
        leave(1 if self.failures else 0)


def skip_all(why: str) -> NoReturn:
    print(f"1..0 # SKIP {why}", flush=True)
    leave(0)


def start(doc: str | None, *, limit: float = PROGRAM_LIMIT, daemon: bool = True,
          options: Callable[[argparse.ArgumentParser], None] | None = None) -> tuple[Tap, argparse.Namespace]:
    """Reads the arguments (--build DIR, --seed N, and what `options` adds) and sets the limit of the whole program."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--build", type=Path, default=Path("build/gcc"), help="build directory with ovvmd and ovvm")
    parser.add_argument("--seed", type=int, default=None, help="seed of the random choices")
    parser.add_argument("--limit", type=float, default=limit, help="seconds after which the program gives up")
    if options:
        options(parser)
    args = parser.parse_args()
    threading.Thread(target=_give_up, args=(args.limit,), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: leave(143))
    signal.signal(signal.SIGINT, lambda *_: leave(130))
    sys.excepthook = lambda *what: (traceback.print_exception(*what), leave(1))  # type: ignore[assignment]
    if args.seed is None:
        args.seed = random.SystemRandom().randrange(1 << 32)
    random.seed(args.seed)
    print(f"# seed {args.seed}", flush=True)
    if daemon and not find("ovvmd", args.build):
        print(f"1..1\nnot ok 1 - ovvmd is not under {args.build}", flush=True)
        leave(1)
    return Tap(), args


def find(program: str, build: Path) -> Path | None:
    """The program of this build, or the one that $OVVMD or $OVVM names."""
    named = os.environ.get(program.upper())
    if named:
        return Path(named)
    for place in (build / program, build / "src" / program):
        if place.is_file():
            return place
    return None


def failpoints(build: Path) -> list[str]:
    """The names that `ovvmd --failpoints` lists; none where the build has no fault injection."""
    daemon = find("ovvmd", build)
    done = subprocess.run([str(daemon), "--failpoints"], capture_output=True, text=True, timeout=10)
    return done.stdout.split() if done.returncode == 0 else []


# --- the connector ---


class Log(threading.Thread):
    """Collects what the daemon writes to stderr."""

    def __init__(self, pipe: Any, keep: Path) -> None:
        super().__init__(daemon=True)
        self.pipe, self.file = pipe, keep.open("ab")
        self.lines: list[str] = []
        self.changed = threading.Condition()
        self.start()

    def run(self) -> None:
        for line in iter(self.pipe.readline, b""):
            self.file.write(line)
            self.file.flush()
            with self.changed:
                self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self.changed.notify_all()
        self.file.close()
        self.pipe.close()  # a scenario may start the daemon thousands of times


class Instance:
    """One ovvmd with its own directory, configuration and ports.

    `conf` is merged over the defaults: section -> {key: value}, a value of None takes the key out. The link's neighbour
    listens on `host_port` (the test's Node) and the connector on `link_port`; mail goes to `relay`.
    """

    def __init__(self, build: Path, *, relay: tuple[str, int] | str | None = None, host_port: int | None = None,
                 kind: str = "rscs", node: str = MAILNODE, neighbour: str = HOST,
                 conf: dict[str, dict[str, str | None]] | None = None, environment: dict[str, str] | None = None,
                 wrapper: list[str] | None = None, url: str | None = None) -> None:
        self.build, self.environment, self.wrapper = build, dict(environment or {}), list(wrapper or [])
        self.directory = Path(tempfile.mkdtemp(prefix="ovvm-"))
        self.state = self.directory / "state"
        self.state.mkdir()
        self.node, self.neighbour = node, neighbour
        self.smtp_port, self.link_port = free_port(), free_port()
        self.control = self.directory / "control.sock"
        self.people = self.directory / "people.csv"  # people of the site with host addresses of their own
        self.people.write_text("address,full name,host addresses\nalice@outside.example,Alice Longname,ALICE\n"
                               "bob@outside.example,Bob Short,BOB\ncarol@outside.example,Carol Quick,CAROL\n")
        self.conf = self.directory / "ovvm.conf"
        self.process: subprocess.Popen[bytes] | None = None
        self.logs: list[Log] = []
        self.kills = self.starts = 0
        sections: dict[str, dict[str, str | None]] = {
            "connector": {"node": node, "domain": "vm.example.org", "default-node": neighbour, "state": str(self.state),
                          "postmaster": "postmaster@example.org", "people": str(self.people)},
            "store": {"url": url.replace("STATE", str(self.state)) if url else f"sqlite:{self.state}/ovvm.db"},
            f"link {neighbour}": {"kind": kind, "listen": f"127.0.0.1:{self.link_port}", "allow": "127.0.0.1",
                                  "connect": f"127.0.0.1:{host_port}" if host_port else None, "nodes": neighbour,
                                  "retry": "1s", "retry-max": "2s"},
            "smtp-in": {"listen": f"127.0.0.1:{self.smtp_port}", "allow": "127.0.0.0/8"},
            "smtp-out": {"relay": relay if isinstance(relay, str) else f"{relay[0]}:{relay[1]}" if relay else
                         f"127.0.0.1:{free_port()}"},
            "limits": {"retry": "1s", "retry-max": "1s"},
            "admin": {"socket": str(self.control)},
            "log": {"target": "stderr", "level": "info"},
        }
        for section, keys in (conf or {}).items():
            sections.setdefault(section, {}).update(keys)
        self.sections = sections
        self.write_conf()

    def write_conf(self) -> None:
        """Writes self.sections; after a change, before the next start."""
        text = ""
        for section, keys in self.sections.items():
            kept = {k: v for k, v in keys.items() if v is not None}
            if kept:
                text += f"[{section}]\n" + "".join(f"{k} = {v}\n" for k, v in kept.items()) + "\n"
        self.conf.write_text(text)

    def __enter__(self) -> "Instance":
        self.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        fine = kind is None or kind is Skip
        try:
            self.stop()
        except Failed:
            self.kill()
            if fine:
                raise
        finally:
            if fine:
                shutil.rmtree(self.directory, ignore_errors=True)
            else:
                print(f"# kept: {self.directory}", flush=True)
                for line in self.log_lines()[-25:]:
                    print(f"#   {line}", flush=True)

    # --- processes ---

    @property
    def smtp(self) -> tuple[str, int]:
        return ("127.0.0.1", self.smtp_port)

    def launch(self, **environment: str) -> None:
        """Starts the daemon and does not wait for it."""
        daemon = find("ovvmd", self.build)
        assert daemon
        command = [*self.wrapper, str(daemon), "-f", "-c", str(self.conf)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, start_new_session=True,
                                        env={**os.environ, **self.environment, **environment})
        LIVE.add(self)
        self.logs.append(Log(self.process.stderr, self.directory / "log"))
        self.starts += 1

    def start(self, limit: float = START_LIMIT, **environment: str) -> None:
        """Starts the daemon and waits until it takes mail."""
        self.launch(**environment)
        until(lambda: self.ready() or not self.alive(), limit, "the daemon to take mail")
        check(self.alive(), "the daemon ended while starting:\n" + "\n".join(self.log_lines()[-10:]))

    def ready(self) -> bool:
        try:
            with socket.create_connection(self.smtp, timeout=5) as sock:
                return sock.recv(3) == b"220"
        except OSError:
            return False

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def wait_end(self, limit: float) -> int:
        """Until the daemon has ended by itself; its exit status (negative: the signal)."""
        assert self.process
        process = self.process
        until(lambda: process.poll() is not None, limit, "the daemon to end")
        self.logs[-1].join(5)
        LIVE.discard(self)
        return process.returncode

    def stop(self, limit: float = STOP_LIMIT) -> int | None:
        """SIGTERM; the exit status must be 0."""
        if not self.alive():
            return None
        self.signal(signal.SIGTERM)
        status = self.wait_end(limit)
        same(status, 0, "exit status after SIGTERM")
        return status

    def kill(self) -> None:
        """SIGKILL to the daemon and whatever it started (they share a session)."""
        if not self.process or self.process.poll() is not None:
            return
        self.kills += 1
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(10)
        self.logs[-1].join(5)
        LIVE.discard(self)

    def signal(self, number: int) -> None:
        assert self.process
        os.kill(self.pid, number)

    @property
    def pid(self) -> int:
        """Of ovvmd itself, also under a wrapper, be it its parent or what it was before an exec."""
        assert self.process
        if not self.wrapper or Path(f"/proc/{self.process.pid}/comm").read_text() == "ovvmd\n":
            return self.process.pid
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0]) if children else self.process.pid

    def set_fault(self, text: str) -> None:
        """Replaces the fault settings of the running daemon; `environment` must name fault_file."""
        self.fault_file.write_text(text + "\n")
        self.signal(signal.SIGUSR2)

    @property
    def fault_file(self) -> Path:
        return self.directory / "faults"

    # --- ovvm ---

    def run(self, *words: str, limit: float = 30.0) -> subprocess.CompletedProcess[str]:
        tool = find("ovvm", self.build)
        check(tool, f"ovvm is not under {self.build}")
        return subprocess.run([str(tool), "-c", str(self.conf), *words], capture_output=True, text=True, timeout=limit)

    def ovvm(self, *words: str) -> Any:
        """Runs a verb with --json; its parsed answer. Failed when the exit status is not 0."""
        done = self.run(*words, "--json")
        same(done.returncode, 0, f"ovvm {' '.join(words)} ({done.stderr.strip()})")
        return json.loads(done.stdout)

    def waiting(self) -> int:
        """Letters in the four queues, quarantine apart. Failed when there is one in quarantine."""
        queues = self.ovvm("status")["queues"]
        check(not any(q["quarantine"] for q in queues), f"letters in quarantine: {queues}")
        return sum(q["ready"] + q["held"] for q in queues)

    def wait_empty(self, limit: float = 30.0) -> None:
        """Until every queue is empty: what was sent is also recorded as sent."""
        until(lambda: self.waiting() == 0, limit, "the queues to be empty")

    # --- what is left ---

    def processes(self) -> list[str]:
        """Processes of this daemon's session that are still there, as `pid name`."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                head, _, rest = stat.read_text().rpartition(")")
            except OSError:
                continue
            fields = rest.split()
            if self.process and int(fields[3]) == self.process.pid and fields[0] != "Z":
                found.append(head.replace("(", ""))
        return found

    # --- log ---

    def log_lines(self) -> list[str]:
        """Every line of every run so far."""
        found = []
        for log in self.logs:
            with log.changed:
                found += log.lines
        return found

    def wait_log(self, text: str, limit: float = 20.0, count: int = 1) -> list[str]:
        """Until `count` lines hold the text."""
        return until(lambda: (lambda found: found if len(found) >= count else None)(
            [line for line in self.log_lines() if text in line]), limit, f"{count} log line(s) with {text!r}")

    def logged_once(self, text: str, limit: float = 20.0) -> str:
        """The only line that holds the text; Failed when there are more."""
        found = self.wait_log(text, limit)
        same(len(found), 1, f"log lines with {text!r}: {found}")
        return found[0]


LOG_LINE = re.compile(r"^\S+ \S+- \S+\(\d+\) ([1-4]) (\d+):(.*?)(?: >> \S+\(\d+\))?$")


def log_level(line: str) -> int:
    """1 error, 2 warning, 3 info, 4 trace; 0: not a line of the log."""
    found = LOG_LINE.match(line)
    return int(found[1]) if found else 0

