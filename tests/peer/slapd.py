"""OpenLDAP's slapd for one test: a directory of people on loopback, from LDIF, with LDAP and STARTTLS.

    with Slapd([person("alice", "Alice Longname", hosts=["ALICE"])]) as directory:
        ... ldap://127.0.0.1:directory.port, base directory.base, bind-dn directory.bind_dn ...

Beside it stands Babbler: a server that answers whatever it is told, which no directory would say.
"""

import glob
import os
import socket
import subprocess
import threading

from harness import free_port

from .instance import Peer, PeerError, library_path

SUFFIX = "dc=example,dc=org"
BIND_DN = f"cn=ovvm,{SUFFIX}"
PASSWORD = "a secret with blanks"

# ovvmHost stands for whatever attribute a site keeps host addresses in.
CONFIGURATION = """\
include {package}/etc/ldap/schema/core.schema
include {package}/etc/ldap/schema/cosine.schema
include {package}/etc/ldap/schema/inetorgperson.schema
attributetype ( 1.1.2.1.1 NAME 'ovvmHost' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectclass ( 1.1.2.2.1 NAME 'ovvmPerson' SUP top AUXILIARY MAY ovvmHost )
pidfile {folder}/pid
argsfile {folder}/args
modulepath {package}/usr/lib/ldap
moduleload back_mdb
sizelimit unlimited
{tls}
database mdb
suffix "{suffix}"
rootdn "{bind_dn}"
rootpw "{password}"
directory {folder}/data
maxsize 1073741824
dbnosync
index objectClass,mail eq,pres
access to * by * read
"""


def person(uid: str, name: str = "", mail: str | None = None, hosts: list[str] | None = None) -> str:
    """One entry as LDIF."""
    text = (f"dn: uid={uid},ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nobjectClass: ovvmPerson\nuid: {uid}\n"
            f"cn: {name or uid}\nsn: {(name or uid).split()[-1]}\n")
    if mail != "":
        text += f"mail: {mail or uid + '@example.org'}\n"
    return text + "".join(f"ovvmHost: {host}\n" for host in hosts or []) + "\n"


class Slapd(Peer):
    name = "slapd"

    def __init__(self, people, tls=None):
        """`people`: entries as LDIF. `tls`: (certificate, key) files, for STARTTLS."""
        super().__init__()
        self.people, self.tls = list(people), tls
        self.port = free_port()
        self.base, self.bind_dn = f"ou=people,{SUFFIX}", BIND_DN

    @property
    def url(self):
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def environment(self):
        return {**super().environment, "LD_LIBRARY_PATH": library_path(self.package)}

    def prepare(self):
        tls = "TLSCertificateFile {}\nTLSCertificateKeyFile {}".format(*self.tls) if self.tls else ""
        self.write("slapd.conf", CONFIGURATION.format(package=self.package, folder=self.folder, suffix=SUFFIX,
                                                      bind_dn=BIND_DN, password=PASSWORD, tls=tls))
        self.load()
        return [self.program("slapd"), "-d", "0", "-f", self.path("slapd.conf"), "-h", self.url], self.environment

    def program(self, name):
        return os.path.join(self.package, "usr", "sbin", name)

    def load(self):
        """A new database with self.people; while the server is stopped."""
        os.makedirs(self.path("data"), exist_ok=True)
        for old in glob.glob(self.path("data", "*")):
            os.unlink(old)
        text = (f"dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n"
                f"dn: ou=people,{SUFFIX}\nobjectClass: organizationalUnit\nou: people\n\n" + "".join(self.people))
        done = subprocess.run([self.program("slapadd"), "-q", "-f", self.path("slapd.conf")], input=text.encode(),
                              env=self.environment, capture_output=True, timeout=120)
        if done.returncode != 0:
            raise PeerError(f"slapadd: {done.stderr.decode()[-2000:]}")

    def replace(self, people):
        """The same server with other people, or none."""
        self.people = list(people)
        argv = list(self.process.args)
        self._end_program()
        self._output.close()
        self.load()
        self._launch(argv, self.environment)

    def halt(self):
        """Ends the server; its folder stays for `again`."""
        self.argv = list(self.process.args)
        self._end_program()
        self._output.close()
        self.process = self._output = None

    def again(self):
        self._launch(self.argv, self.environment)

    def ready(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2):
                return True
        except OSError:
            return False


class Babbler:
    """Accepts connections and answers each with `answer` as soon as something is asked; then it closes, or stays."""

    def __init__(self, answer: bytes, stays: bool = False):
        self.answer, self.stays, self.calls = answer, stays, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self):
        return f"ldap://127.0.0.1:{self.port}"

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.calls += 1
            try:
                connection.settimeout(10)
                connection.recv(4096)
                connection.sendall(self.answer)
            except OSError:
                pass
            if self.stays:
                self.open.append(connection)
            else:
                connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        for connection in self.open:
            connection.close()
