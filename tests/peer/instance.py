"""A mail system of somebody else's, run for one test from a private folder.

The peers are Debian's programs, unpacked by scripts/fetch-peers under build/peers and never installed. A Peer
makes a temporary folder with configuration, spool and logs, starts the program, waits until it answers, and takes
everything away again: the process group by its id, then the folder. No account, no service and no file of the machine
is touched.

What can go wrong: the peer is not fetched, or needs a right this process lacks (Absent says which; tests skip with that
text); the peer does not start (PeerError carries the end of its log); the test is killed in the middle (the kernel then
ends the peer, see _die_with_parent).
"""

import ctypes
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile

from harness import Failed, Skip, until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PEERS = os.environ.get("OVVM_PEERS", os.path.join(ROOT, "build", "peers"))
START_LIMIT = 30.0  # seconds until a peer must answer
STOP_LIMIT = 10.0  # seconds until a peer must have ended after SIGTERM
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Absent(Skip):
    """This peer cannot run here; the text says why."""


class PeerError(Failed):
    """The peer is here and failed."""


def unpacked(name):
    """Folder of a peer that scripts/fetch-peers has brought."""
    folder = os.path.join(PEERS, name)
    if not os.path.exists(os.path.join(folder, "PACKAGES")):
        raise Absent(f"build/peers/{name} is missing (scripts/fetch-peers {name})")
    return folder


def version(name):
    """The peer's own package and its version, as unpacked."""
    with open(os.path.join(unpacked(name), "PACKAGES"), encoding="ascii") as packages:
        return packages.readline().strip()


def library_path(folder, *own):
    """LD_LIBRARY_PATH for a peer: its own libraries, then those that came with it because the machine lacks them."""
    places = [os.path.join(folder, place) for place in own]
    for top in ("usr/lib", "lib"):
        places += sorted(glob.glob(os.path.join(glob.escape(folder), top, "*-linux-gnu*")))
    return ":".join(places)


def account(*names):
    """The first of these accounts that the machine has."""
    for name in names:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Absent(f"none of the accounts {', '.join(names)} exists")


def greeting(port, start):
    """True when 127.0.0.1:port answers with a line that begins with `start`."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.settimeout(5)
            return connection.recv(512).startswith(start)
    except OSError:
        return False


def _die_with_parent():
    # Of the thread that starts the peer: start peers in the test's main thread.
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def members(group):
    """Processes of this group that still run; those that only wait to be reaped don't count."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
                state, _, of_group = stat.read().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(of_group) == group and state not in "ZX":
            found.append(int(pid))
    return found


class Peer:
    """Base of the peers. A subclass gives prepare() -> (argv, environment), ready() -> bool and logs() -> str."""

    name = ""  # folder under build/peers
    run_as = None  # pwd entry, where the peer is not to be started as root

    def __init__(self):
        self.package = unpacked(self.name)
        self.folder = None
        self.process = None
        self._output = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def path(self, *parts):
        """A path in the private folder."""
        return os.path.join(self.folder, *parts)

    def write(self, name, text):
        """Writes a configuration file into the private folder and returns its path."""
        with open(self.path(name), "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(self.path(name), 0o644)
        return self.path(name)

    def read(self, name):
        """A file of the private folder as text, empty where it is not there yet."""
        try:
            with open(self.path(name), encoding="utf-8", errors="replace") as text:
                return text.read()
        except FileNotFoundError:
            return ""

    def start(self):
        self.folder = tempfile.mkdtemp(prefix=f"ovvm-{self.name}-")
        try:
            os.chmod(self.folder, 0o755)  # the peers' unprivileged halves look in
            argv, environment = self.prepare()
            self._launch(argv, environment)
        except BaseException as error:
            text = self.logs()[-3000:] + self.read("output")[-3000:]
            self.stop()
            if isinstance(error, Failed):
                raise PeerError(f"{self.name}: {error}\n{text}") from None
            raise

    def _launch(self, argv, environment):
        self._output = open(self.path("output"), "ab")
        self.process = subprocess.Popen(
            argv, env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=self._output, stderr=self._output,
            start_new_session=True, preexec_fn=_die_with_parent, umask=0o022, **self.identity)
        until(self._answers, START_LIMIT, "its greeting")

    def _answers(self):
        if self.process.poll() is not None:
            raise PeerError(f"ended with status {self.process.returncode} instead of answering")
        return self.ready()

    def stop(self):
        """Ends the peer and removes its folder; may be called twice."""
        if self.process is not None:
            self._end(self.process)
            self.process = None
        if self._output is not None:
            self._output.close()
            self._output = None
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def restart(self):
        """Stops the program and starts it again on the same folder: the spool stays."""
        argv, environment = list(self.process.args), self.environment
        self._end(self.process)
        self._output.close()
        self._launch(argv, environment)

    @property
    def environment(self):
        """What the peer is started with; a subclass adds to it."""
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC"}

    @property
    def identity(self):
        """For subprocess: the account of run_as, where we are root and may become it."""
        if self.run_as is None or os.getuid() != 0:
            return {}
        return {"user": self.run_as.pw_uid, "group": self.run_as.pw_gid, "extra_groups": []}

    @staticmethod
    def _end(process):
        group = process.pid  # start_new_session: the leader's pid names the group
        process.terminate()
        try:
            process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_LIMIT)

        try:
            until(lambda: not members(group), 3, "the end of its children")
        except Failed:
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def logs(self):
        return ""
