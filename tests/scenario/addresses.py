#!/usr/bin/env python3
"""Who is who, as operators see it: people and tables at the start and on reload, registrations that outlive a kill."""

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import Instance, check, same, start  # noqa: E402

OVDFILE = "MAILNODE LOCAL MSX\nHOSTNODE CMS CMS host-kind=tso\n"


def host_of(ovvm: Instance, address: str) -> str:
    """The host address that is shown for a person."""
    hosts = [one["host"] for one in ovvm.ovvm("who", address)["hosts"] if one["main"]]
    same(len(hosts), 1, f"host addresses shown for {address}")
    return hosts[0]


def main() -> None:
    tap, args = start(__doc__, limit=120)
    ovvm = Instance(args.build)
    tables = ovvm.directory / "tables"
    people = ovvm.directory / "people.csv"
    tables.mkdir()
    ovdfile = OVDFILE.replace("MAILNODE", ovvm.node).replace("HOSTNODE", ovvm.neighbour)
    (tables / "Ovdfile.dat").write_text("OVCMNODE MAILMAN LOC\nCMSNODE CMS CMS\nEXCHNODE LOCAL LME\n")
    people.write_text('alice@example.org,"Longname, Alice",ALICE AL\nbob@example.org,Bob\n')
    ovvm.sections["connector"].update({"tables": str(tables), "people": str(people)})
    ovvm.write_conf()
    with tap.case("the sample tables are refused, at the start and by check, and named"):
        ovvm.launch()
        same(ovvm.wait_end(20), 3, "exit status")
        check(any("Ovdfile.dat line 1" in line for line in ovvm.log_lines()), "the log names the file and the line")
        done = ovvm.run("check")
        same(done.returncode, 3, "exit status of ovvm check")
        check("Ovdfile.dat line 1" in done.stdout, f"ovvm check says: {done.stdout}")
        (tables / "Ovdfile.dat").write_text(ovdfile)
    with tap.case("people have the addresses of their file and by rule"):
        ovvm.start()
        same(host_of(ovvm, "alice@EXAMPLE.org"), f"{ovvm.node}(ALICE)", "the first one given")
        same(host_of(ovvm, "bob@example.org"), f"{ovvm.node}(BOB)", "by rule")
        same(ovvm.ovvm("who", f"{ovvm.node}(AL)")["mail"], "alice@example.org", "the second one given")
    with tap.case("who understands both worlds, and the old written form"):
        for address in (f"georgeb@{ovvm.neighbour}.vm.example.org", f"[PROFS:{ovvm.neighbour}(GEORGEB)]",
                        f"{ovvm.neighbour}(georgeb)"):
            same(ovvm.ovvm("who", address)["host"], f"{ovvm.neighbour}(GEORGEB)", address)
        check("hosts" not in ovvm.ovvm("who", "nobody@example.com"), "nobody is registered by being asked about")
        same(ovvm.run("register", "list", "--json").stdout.count("nobody"), 0, "nobody in the list")
    with tap.case("a registration outlives a kill, and no number is given twice"):
        first = ovvm.ovvm("register", "add", "one@example.com")["host"]
        ovvm.kill()
        ovvm.start()
        second = ovvm.ovvm("register", "add", "two@example.com")["host"]
        check(first != second, f"{first} was given twice")
        same(host_of(ovvm, "one@example.com"), first, "after the kill")
        same(ovvm.ovvm("register", "add", "one@example.com")["host"], first, "asked again")
        line = ovvm.logged_once("address=<two@example.com>")
        check(f"host={second} kind=number" in line, f"the log has what it takes to enter it again: {line}")
    with tap.case("a host address never changes hands"):
        refused = ovvm.run("register", "add", "three@example.com", first)
        same(refused.returncode, 3, "exit status")
        check("one@example.com" in refused.stderr, f"says whose it is: {refused.stderr}")
        same(ovvm.run("register", "remove", first).returncode, 0, "retired")
        same(ovvm.run("register", "add", "three@example.com", first).returncode, 3, "exit status when it is retired")
    with tap.case("a wrong line keeps the tables in use and says so until it is corrected"):
        (tables / "Ovdfile.dat").write_text(ovdfile + "OAK CMS\n")
        ovvm.signal(signal.SIGHUP)
        ovvm.wait_log("Ovdfile.dat line 3")
        warnings = [one["text"] for one in ovvm.ovvm("status")["warnings"]]
        check(any("Ovdfile.dat line 3" in text for text in warnings), f"status warns: {warnings}")
        same(len(ovvm.ovvm("tables", "show")["nodes"]), 2, "nodes in use")
        (tables / "Ovdfile.dat").write_text(ovdfile + "OAK CMS CMS\n")
        same(ovvm.run("tables", "reload").returncode, 0, "exit status of the reload")
        same(len(ovvm.ovvm("tables", "show")["nodes"]), 3, "nodes in use")
    with tap.case("a people file cut short unlists nobody unless the operator says so"):
        whole = "".join(f"p{n}@example.org,Person {n}\n" for n in range(50))
        people.write_text(whole)
        same(ovvm.ovvm("people", "check")["people"]["added"], 50, "people that a reload would add")
        ovvm.ovvm("tables", "reload")
        people.write_text(whole[:100])
        refused = ovvm.run("tables", "reload")
        same(refused.returncode, 3, "exit status")
        check("--confirm" in refused.stderr, f"says how to go on: {refused.stderr}")
        same(len(ovvm.ovvm("people", "list")["people"]), 50, "people listed")
        people.write_text("p1@example.org,Person 1\n")
        ovvm.ovvm("tables", "reload", "--confirm")
        same(len(ovvm.ovvm("people", "list")["people"]), 1, "people listed")
        same(ovvm.ovvm("who", f"{ovvm.node}(P7)")["mail"], "p7@example.org", "who is gone is still reached")
    ovvm.stop()
    ovvm.__exit__(None)
    tap.finish()


if __name__ == "__main__":
    main()
