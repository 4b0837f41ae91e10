#!/usr/bin/env python3
"""What happens to the packages of somebody's machine when they build or try the connector: nothing of theirs may go.

Who runs `scripts/install-deps build` or `make demo` beside a working MTA must have that MTA afterwards, and must not
get one unasked. Trying that for real takes a machine each time, so it is tried on machines that exist only as package
states: a small Debian with Exim, with Postfix, with OpenSMTPD, with none. The real script runs with an apt-get that
plans against such a state (apt-get --simulate), notes what would be installed and removed, and books the outcome there,
so that a script which looks afterwards finds its packages. Nothing on this machine is touched, which is checked too.

What this can't see: an installation that goes around apt-get and dpkg.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

ROOT = Path(__file__).resolve().parent.parent.parent
APT_LIMIT = 300.0
DEMO_LIMIT = 900.0
BASE = ["apt", "dpkg", "base-files", "ca-certificates"]  # besides what is essential or required
INST = re.compile(r"^Inst (\S+) (?:\[(\S+)\] )?\((\S+)")
REMV = re.compile(r"^(?:Remv|Purg) (\S+)")


def run(argv, environment=None, limit=APT_LIMIT, directory=None):
    return subprocess.run(argv, env=environment, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="replace", timeout=limit)


def simulate(state, arguments):
    """Plans with the real apt-get against the package state in this folder."""
    return run([real("apt-get"), "-o", f"Dir::State::status={state / 'status'}", "-o", "Debug::NoLocking=1",
                "--simulate", *arguments], os.environ | {"LC_ALL": "C"})


def real(program):
    """The machine's own program, whatever stands before it in PATH."""
    return shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") or program


def planned(output):
    """What apt-get would do: [(name, version it replaces or None, new version)], [names removed]."""
    install = [INST.match(line).groups() for line in output.splitlines() if INST.match(line)]
    return install, [REMV.match(line)[1] for line in output.splitlines() if REMV.match(line)]


FIELDS = ("Package", "Essential", "Priority", "Section", "Maintainer", "Installed-Size", "Architecture", "Multi-Arch",
          "Version", "Source", "Provides", "Pre-Depends", "Depends", "Recommends", "Conflicts", "Breaks", "Replaces")


def stanza_of(text):
    """What dpkg's status keeps of an archive's description, one line a field. apt takes a package whose size or
    relations differ from the archive's for another build of that version, and would replace it."""
    kept = [line for line in text.splitlines() if line.partition(":")[0] in FIELDS]
    return "\n".join([kept[0], "Status: install ok installed", *kept[1:], "Description: as in the archive"])


def book(state, install, removed):
    """Writes the outcome of a plan into the state, from the archive's own descriptions."""
    gone = set(removed) | {name for name, *_ in install}
    stanzas = [stanza for stanza in (state / "status").read_text().split("\n\n")
               if stanza.strip() and re.match(r"Package: (\S+)", stanza.strip())[1] not in gone]
    if install:
        shown = run([real("apt-cache"), "show", *(f"{name}={version}" for name, _, version in install)])
        for stanza in shown.stdout.split("\n\n"):
            if stanza.startswith("Package: "):
                stanzas.append(stanza_of(stanza))
    (state / "status").write_text("\n\n".join(stanza.strip() for stanza in stanzas) + "\n\n")


def as_apt_get(state, arguments):
    """The apt-get of a machine that exists only as a state. Exit status and output are those of the plan."""
    with (state / "calls").open("a") as calls:
        calls.write(" ".join(arguments) + "\n")
    if "update" in arguments:
        return 0
    done = simulate(state, arguments)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    if done.returncode == 0 and not {"--simulate", "-s", "--dry-run"} & set(arguments):
        with (state / "plans").open("a") as plans:
            plans.write(done.stdout)
        book(state, *planned(done.stdout))
    return done.returncode


if len(sys.argv) > 2 and sys.argv[1] == "--as-apt-get":
    sys.exit(as_apt_get(Path(sys.argv[2]), sys.argv[3:]))

from harness import Skip, check, same, start  # noqa: E402


class Machine:
    """A small Debian with these packages, as a package state in a temporary folder."""

    bare = ""  # the state without any, made by the first machine

    def __init__(self, *packages):
        self.folder = Path(tempfile.mkdtemp(prefix="ovvm-packages-"))
        self.state = self.folder / "dpkg"
        for name in ("updates", "info", "triggers"):
            (self.state / name).mkdir(parents=True)
        (self.state / "status").write_text(Machine.bare)
        if not Machine.bare:
            self._install([*essential(), *BASE])
            Machine.bare = (self.state / "status").read_text()
        if packages:
            self._install(["--no-install-recommends", *packages])
        self.before = self.packages()
        shims = self.folder / "bin"
        shims.mkdir()
        shim = f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" --as-apt-get "{self.state}" "$@"\n'
        refuse = '#!/bin/sh\necho "$0 $*" >>"{}"\nexit 97\n'.format(self.folder / "around")
        for name, text in (("apt-get", shim), ("apt", shim), ("aptitude", refuse), ("sudo", '#!/bin/sh\nexec "$@"\n')):
            (shims / name).write_text(text)
            (shims / name).chmod(0o755)
        self.environment = os.environ | {
            "PATH": f"{shims}:{os.environ['PATH']}", "DPKG_ADMINDIR": str(self.state), "LC_ALL": "C",
            "DEBIAN_FRONTEND": "noninteractive"}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def _install(self, arguments):
        done = simulate(self.state, ["install", *arguments])
        if done.returncode != 0:
            raise Skip(f"apt-get has no package lists to plan with (apt-get update): {done.stderr.strip()[-200:]}")
        book(self.state, *planned(done.stdout))

    def packages(self):
        """name -> version"""
        return dict(re.findall(r"^Package: (\S+)\n(?:.+\n)*?Version: (\S+)", (self.state / "status").read_text(), re.M))

    def text(self, name):
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def check_kept(self, what):
        """Nothing that was there is gone or another version, and no MTA came in."""
        install, removed = planned(self.text("dpkg/plans"))
        same(removed, [], f"packages that {what} would remove")
        same([name for name, old, _ in install if old], [], f"packages that {what} would replace")
        now = self.packages()
        same({name: now.get(name) for name in self.before}, self.before, f"the machine's own packages after {what}")
        came = set(now) - set(self.before)
        same(sorted(came & transport_agents()), [], f"MTAs that {what} would bring in")
        same(self.text("around"), "", f"what {what} would do by other means than apt-get")
        return came


def essential():
    """What every Debian has: packages marked essential or of priority required."""
    listed = run([real("apt-cache"), "dumpavail"]).stdout
    found = {re.match(r"Package: (\S+)", stanza)[1] for stanza in listed.split("\n\n")
             if stanza.startswith("Package: ")
             and ("\nEssential: yes" in stanza or "\nPriority: required" in stanza)}
    if not found:
        raise Skip("apt has no package lists (apt-get update)")
    return sorted(found)


def transport_agents():
    """Every package that provides mail-transport-agent."""
    shown = run([real("apt-cache"), "showpkg", "mail-transport-agent"]).stdout
    agents = {line.split()[0] for line in shown.partition("Reverse Provides:")[2].splitlines() if line.strip()}
    check("postfix" in agents, "the archive's MTAs are known")
    return agents


def installed():
    """The packages of the machine this test runs on."""
    return run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package} ${Version}\n"]).stdout


def what_is_kept(tap):
    with tap.case("the trial sees an MTA that comes in and one that goes (else it would prove nothing)"):
        with Machine("exim4-daemon-light") as machine:
            check("exim4-base" in machine.before, "Exim on the machine")
            same(run(["apt-get", "-y", "install", "postfix"], machine.environment).returncode, 0, "apt-get's status")
            now = machine.packages()
            check("postfix" in now and "exim4-daemon-light" not in now, "Postfix in Exim's place")
            try:
                machine.check_kept("installing postfix")
            except AssertionError:
                pass
            else:
                check(False, "the replacement was not noticed")


def install_deps(tap, *packages):
    script = ROOT / "scripts" / "install-deps"
    name = ", ".join(packages) or "no MTA"
    with tap.case(f"scripts/install-deps build on a machine with {name}: nothing removed or replaced, no MTA comes in"):
        if not script.exists():
            raise Skip("scripts/install-deps is not there")
        if os.getuid() != 0:
            raise Skip("without root scripts/install-deps only prints its command")
        real_before = installed()
        with Machine(*packages) as machine:
            done = run([str(script), "build"], machine.environment, directory=ROOT)
            same(done.returncode, 0, f"exit status, after\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
            came = machine.check_kept("scripts/install-deps build")
            check({"meson", "libevent-dev"} <= came, f"what the build needs came in: {sorted(came)}")
        same(installed(), real_before, "packages of the real machine")


def one_installer(tap):
    with tap.case("nothing but scripts/install-deps installs packages (so that the trials above cover everything)"):
        places = [ROOT / "Makefile", *sorted((ROOT / "scripts").iterdir())]
        installs = re.compile(r"\b(apt|apt-get|aptitude)\b[^#\n]*\binstall\b|\bdpkg\b[^#\n]*(\s-i\b|--install)")
        found = {place.name for place in places if place.is_file()
                 and any(installs.search(line) and "--simulate" not in line and " -s " not in line
                         for line in place.read_text(errors="replace").splitlines()
                         if not line.lstrip().startswith("#"))}
        check(found <= {"install-deps"}, f"these install packages too: {sorted(found - {'install-deps'})}")


def demo(tap):
    with tap.case("make demo beside Exim: nothing removed or replaced, no MTA comes in"):
        makefile = ROOT / "Makefile"
        if not makefile.exists() or not re.search(r"^demo\b.*:", makefile.read_text(), re.M):
            raise Skip("there is no make demo")
        if os.getuid() != 0:
            raise Skip("without root make demo only prints the command that installs")
        if shutil.which("make") is None:
            raise Skip("make is not here")
        real_before = installed()
        with Machine("exim4-daemon-light") as machine:
            done = run(["make", "demo"], machine.environment, DEMO_LIMIT, ROOT)
            same(done.returncode, 0, f"exit status, after\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
            machine.check_kept("make demo")
        same(installed(), real_before, "packages of the real machine")


def main():
    def options(parser):
        parser.add_argument("--demo", action="store_true", help="also run make demo (builds and runs the connector)")

    tap, args = start(__doc__, limit=1200, daemon=False, options=options)
    if shutil.which("apt-get") is None:
        tap.skip("packages", "this is not a Debian")
        tap.finish()
    what_is_kept(tap)
    for packages in ((), ("exim4-daemon-light",), ("postfix", "dovecot-imapd"), ("opensmtpd",)):
        install_deps(tap, *packages)
    one_installer(tap)
    if args.demo:
        demo(tap)
    tap.finish()


if __name__ == "__main__":
    main()
