"""Exim for one test: receives by SMTP on loopback and hands on by SMTP or LMTP.

    with Exim(routes={"example.org": ("lmtp", "127.0.0.1", mailbox.lmtp_port),
                      "vm.example.org": ("smtp", "127.0.0.1", 2525)}) as mta:
        ... SMTP to 127.0.0.1:mta.port ...

Debian's Exim looks the account Debian-exim up before it reads any configuration. nss_wrapper shows it that name for
the account it runs as anyway (mail when root starts it, else the user's own), so that no account is added. It runs
without any privilege; program and spool lie in its private folder.
"""

import os
import pwd
import shutil
import subprocess

from harness import free_port

from .instance import Absent, Peer, account, greeting, library_path

CONFIGURATION = """\
exim_path = {folder}/exim4
exim_user = {uid}
exim_group = {gid}
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/exim.pid
keep_environment = LD_PRELOAD : LD_LIBRARY_PATH : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP : TZ
timezone = UTC
deliver_drop_privilege
never_users =
primary_hostname = {host_name}
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
disable_ipv6
tls_advertise_hosts =
rfc1413_hosts =
dns_again_means_nonexist = *
smtp_accept_max = 200
queue_only = {queue_only}
domainlist routed = {domains}
acl_smtp_rcpt = recipients
begin acl
recipients:
  accept domains = +routed
  deny message = no such domain in this test
begin routers
{routers}
begin transports
smtp:
  driver = smtp
  port = 25
  allow_localhost
  hosts_try_fastopen =
  hosts_try_chunking =
lmtp:
  driver = smtp
  protocol = lmtp
  port = 24
  allow_localhost
  hosts_try_fastopen =
  hosts_try_chunking =
begin retry
* * F,1h,{retry}
begin rewrite
begin authenticators
"""

ROUTER = """\
to_{index}:
  driver = manualroute
  domains = {domain}
  transport = {protocol}
  route_list = * {host}::{port} byname
  self = send
"""


class Exim(Peer):
    """routes: domain -> ("smtp" or "lmtp", IPv4 address, port); everything else is refused. retry: seconds between two
    tries of a deferred letter; the queue is run that often. queue_only: letters wait for flush()."""

    name = "exim"

    def __init__(self, routes=None, retry=2, queue_only=False, host_name="mta.example.test"):
        super().__init__()
        self.routes = dict(routes or {})
        self.retry = retry
        self.queue_only = queue_only
        self.host_name = host_name
        self.port = free_port()
        self.wrapper = next((path for path in (
            os.path.join(place, "libnss_wrapper.so") for place in library_path(self.package).split(":"))
            if os.path.exists(path)), None)
        if self.wrapper is None:
            raise Absent("libnss_wrapper.so did not come with Exim (remove build/peers/exim, scripts/fetch-peers exim)")

    @property
    def environment(self):
        return super().environment | {
            "LD_LIBRARY_PATH": self.path("lib"), "LD_PRELOAD": self.path("lib", "libnss_wrapper.so"),
            "NSS_WRAPPER_PASSWD": self.path("passwd"), "NSS_WRAPPER_GROUP": self.path("group")}

    def prepare(self):
        owner = account("mail", "daemon") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        self.run_as = owner
        # Copies: the account it runs as may not be able to look into build/.
        os.mkdir(self.path("lib"))
        for place in library_path(self.package).split(":"):
            for library in os.listdir(place):
                if ".so" in library:
                    shutil.copy(os.path.join(place, library), self.path("lib", library))
        shutil.copy(os.path.join(self.package, "usr/sbin/exim4"), self.path("exim4"))
        for name in ("spool", "log"):
            os.mkdir(self.path(name), 0o750)
            os.chown(self.path(name), owner.pw_uid, owner.pw_gid)
        os.chown(self.folder, owner.pw_uid, owner.pw_gid)  # for the pid file
        self.write("passwd", "root:x:0:0:root:/:/usr/sbin/nologin\n"
                             f"Debian-exim:x:{owner.pw_uid}:{owner.pw_gid}::{self.folder}:/usr/sbin/nologin\n")
        self.write("group", f"root:x:0:\nDebian-exim:x:{owner.pw_gid}:\n")
        routers = "".join(ROUTER.format(index=index, domain=domain, protocol=protocol, host=host, port=port)
                          for index, (domain, (protocol, host, port)) in enumerate(self.routes.items()))
        configuration = self.write("exim.conf", CONFIGURATION.format(
            folder=self.folder, uid=owner.pw_uid, gid=owner.pw_gid, host_name=self.host_name, port=self.port,
            domains=" : ".join(self.routes), routers=routers, retry=f"{self.retry}s",
            queue_only=str(self.queue_only).lower()))
        argv = [self.path("exim4"), "-C", configuration, "-bdf"]
        return argv + ([] if self.queue_only else [f"-q{self.retry}s"]), self.environment

    def ready(self):
        return greeting(self.port, b"220 ")

    def logs(self):
        return self.read("log/mainlog") + self.read("log/paniclog")

    def command(self, *arguments):
        """Runs Exim with these arguments on this instance's spool and returns its output."""
        done = subprocess.run(
            [self.path("exim4"), "-C", self.path("exim.conf"), *arguments], env=self.environment, cwd=self.folder,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True, **self.identity)
        return done.stdout

    def queue(self):
        """Ids of the letters that wait."""
        return [line.split()[2] for line in self.command("-bp").splitlines() if "<" in line and len(line.split()) > 3]

    def flush(self):
        """Tries everything that waits, now."""
        self.command("-qff")
