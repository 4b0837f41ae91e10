"""OpenSMTPD for one test: receives by SMTP on loopback and hands on by SMTP or LMTP.

    with OpenSmtpd(routes={"example.org": f"lmtp://127.0.0.1:{mailbox.lmtp_port}"}) as mta:
        ... SMTP to 127.0.0.1:mta.port ...

Accounts, spool and helper programs of OpenSMTPD have fixed names. It is therefore started in a mount namespace of its
own, in which /etc/passwd and /etc/group have its two accounts too (with the numbers of daemon and mail) and in which
its fixed folders are private ones; the machine sees none of that. That takes root and the right to mount: Absent says
where it is missing (as in a container without CAP_SYS_ADMIN).

Two things to know: after a failed connection OpenSMTPD leaves that *address* alone for 15 s, whatever the port, so give
next hops that are to fail an address of their own (127.0.0.2 …); and its smtpctl works only with a set-group-id bit,
which an unpacked one has not.
"""

import grp
import os
import shutil
import subprocess

from harness import free_port

from .instance import Absent, Peer, account, greeting, library_path

START = """\
set -e
for place in /var/spool /var/lib /run /usr/libexec; do mount -t tmpfs -o mode=755 tmpfs $place; done
mkdir -p /var/lib/opensmtpd/empty /var/spool/smtpd /usr/libexec/opensmtpd
chmod 711 /var/spool/smtpd
mkdir -m 770 /var/spool/smtpd/offline
mkdir -m 700 /var/spool/smtpd/purge
chown {queue_uid}:0 /var/spool/smtpd/purge
chown 0:{queue_gid} /var/spool/smtpd/offline
mount --bind {package}/usr/libexec/opensmtpd /usr/libexec/opensmtpd
mount --bind {folder}/passwd /etc/passwd
mount --bind {folder}/group /etc/group
exec {package}/usr/sbin/smtpd -d -f {folder}/smtpd.conf
"""


class OpenSmtpd(Peer):
    """routes: domain -> URL as in `relay host` ("smtp://127.0.0.1:2525", "lmtp://127.0.0.1:24"); everything else is
    refused."""

    name = "opensmtpd"

    def __init__(self, routes=None, host_name="mta.example.test"):
        super().__init__()
        if os.getuid() != 0:
            raise Absent("OpenSMTPD wants to be started by root")
        if shutil.which("unshare") is None or subprocess.run(
                ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True).returncode != 0:
            raise Absent("OpenSMTPD needs a mount namespace, and this container may not mount")
        self.routes = dict(routes or {})
        self.host_name = host_name
        self.port = free_port()

    @property
    def environment(self):
        return super().environment | {"LD_LIBRARY_PATH": library_path(self.package)}

    def prepare(self):
        daemon, queue = account("daemon"), account("mail")
        with open("/etc/passwd", encoding="utf-8", errors="surrogateescape") as passwd:
            accounts = passwd.read()
        with open("/etc/group", encoding="utf-8", errors="surrogateescape") as group:
            groups = group.read()
        empty = "/var/lib/opensmtpd/empty"
        self.write("passwd", accounts +
                   f"opensmtpd:x:{daemon.pw_uid}:{daemon.pw_gid}::{empty}:/usr/sbin/nologin\n"
                   f"opensmtpq:x:{queue.pw_uid}:{queue.pw_gid}::{empty}:/usr/sbin/nologin\n")
        self.write("group", groups + f"opensmtpd:x:{daemon.pw_gid}:\nopensmtpq:x:{queue.pw_gid}:\n")
        lines = [f"listen on 127.0.0.1 port {self.port} hostname {self.host_name}"]
        for index, (domain, url) in enumerate(self.routes.items()):
            lines.append(f'action "to_{index}" relay host {url}')
            lines.append(f'match from any for domain "{domain}" action "to_{index}"')
        configuration = self.write("smtpd.conf", "\n".join(lines) + "\n")
        os.chmod(configuration, 0o600)
        script = START.format(folder=self.folder, package=self.package, queue_uid=queue.pw_uid,
                              queue_gid=grp.getgrgid(queue.pw_gid).gr_gid)
        return ["unshare", "--mount", "sh", "-c", script], self.environment

    def ready(self):
        return greeting(self.port, b"220 ")

    def logs(self):
        return self.read("output")
