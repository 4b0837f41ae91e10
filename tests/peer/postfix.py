"""Postfix for one test: receives by SMTP on loopback and hands on by SMTP or LMTP.

    with Dovecot() as mailbox, Postfix(transports={"example.org": mailbox.transport,
                                                   "vm.example.org": "smtp:[127.0.0.1]:2525"}) as mta:
        ... SMTP to 127.0.0.1:mta.port ...

Postfix wants its master started by root, an account that owns its queue and another one without rights. It takes
them from the accounts every Debian has (daemon, nobody, group mail), so that none is added; nothing of theirs is
changed. Where this process is not root, Absent says so.
"""

import grp
import json
import os
import subprocess

from harness import free_port

from .instance import Absent, Peer, account, greeting, library_path

# Folders of the queue and who may use them (postfix-files): o the owner alone, r root's, g the owner and the group.
QUEUE = {
    "active": "o", "bounce": "o", "corrupt": "o", "defer": "o", "deferred": "o", "flush": "o", "hold": "o",
    "incoming": "o", "private": "o", "saved": "o", "trace": "o", "pid": "r", "maildrop": "g", "public": "g",
}

MASTER = """\
127.0.0.1:{port} inet n - n - {processes} smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix(Peer):
    """transports: domain -> next hop as in transport(5) ("smtp:[127.0.0.1]:25", "lmtp:inet:127.0.0.1:24",
    "lmtp:unix:/path", "discard:"); everything else is refused. settings: main.cf parameters that win over ours.
    processes: limit of smtpd processes."""

    name = "postfix"

    def __init__(self, transports=None, settings=None, processes=100, host_name="mta.example.test"):
        super().__init__()
        if os.getuid() != 0:
            raise Absent("Postfix's master wants to be started by root")
        self.transports = dict(transports or {})
        self.settings = dict(settings or {})
        self.processes = processes
        self.host_name = host_name
        self.port = free_port()

    @property
    def environment(self):
        return super().environment | {
            "LD_LIBRARY_PATH": library_path(self.package, "usr/lib/postfix"), "MAIL_CONFIG": self.path("etc")}

    def prepare(self):
        owner, nobody = account("daemon", "bin"), account("nobody")
        try:
            group = grp.getgrnam("mail")
        except KeyError:
            raise Absent("the group mail does not exist") from None
        for name in ("etc", "queue", "data"):
            os.mkdir(self.path(name), 0o755)
        os.chown(self.path("data"), owner.pw_uid, owner.pw_gid)
        for name, kind in QUEUE.items():
            place = self.path("queue", name)
            os.mkdir(place)
            os.chmod(place, {"o": 0o700, "r": 0o755, "g": 0o730}[kind])
            if kind != "r":
                os.chown(place, owner.pw_uid, group.gr_gid if kind == "g" else 0)
        self.write("etc/transport", "".join(f"{domain} {hop}\n" for domain, hop in self.transports.items()))
        self.write("etc/dynamicmaps.cf", "")
        self.write("etc/master.cf", MASTER.format(port=self.port, processes=self.processes))
        main = {
            "compatibility_level": "3.6",
            "daemon_directory": os.path.join(self.package, "usr/lib/postfix/sbin"),
            "command_directory": os.path.join(self.package, "usr/sbin"),
            "shlib_directory": os.path.join(self.package, "usr/lib/postfix"),
            "meta_directory": self.path("etc"),
            "queue_directory": self.path("queue"),
            "data_directory": self.path("data"),
            "mail_owner": owner.pw_name, "setgid_group": group.gr_name, "default_privs": nobody.pw_name,
            "import_environment": "MAIL_CONFIG TZ LANG=C LD_LIBRARY_PATH",
            "maillog_file": self.path("data", "maillog"), "maillog_file_prefixes": self.path("data"),
            "myhostname": self.host_name, "mydestination": "", "myorigin": self.host_name,
            "mynetworks": "127.0.0.0/8", "inet_interfaces": "loopback-only", "inet_protocols": "ipv4",
            "alias_maps": "", "alias_database": "", "local_recipient_maps": "", "notify_classes": "",
            "local_transport": "error:no local mail here", "smtp_dns_support_level": "disabled",
            "relay_domains": " ".join(self.transports),
            "transport_maps": "texthash:" + self.path("etc/transport"),
            "default_transport": "error:5.4.4 no such domain in this test",
            "smtpd_relay_restrictions": "permit_auth_destination, reject",
            "smtputf8_enable": "no", "biff": "no", "smtpd_peername_lookup": "no",
            "append_dot_mydomain": "no", "message_size_limit": "104857600",
        } | self.settings
        self.write("etc/main.cf", "".join(f"{key} = {value}\n" for key, value in main.items()))
        return [os.path.join(main["daemon_directory"], "master"), "-d", "-c", self.path("etc")], self.environment

    def ready(self):
        return greeting(self.port, b"220 ")

    def logs(self):
        return self.read("data/maillog")

    def command(self, name, *arguments):
        """Runs one of Postfix's own commands (postqueue, postsuper …) on this instance and returns its output."""
        done = subprocess.run(
            [os.path.join(self.package, "usr/sbin", name), "-c", self.path("etc"), *arguments], env=self.environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout

    def queue(self):
        """What lies in the queue: postqueue(1)'s JSON objects."""
        return [json.loads(line) for line in self.command("postqueue", "-j").splitlines()]

    def flush(self):
        """Tries everything that waits, now."""
        self.command("postqueue", "-f")
