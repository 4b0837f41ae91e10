"""Dovecot for one test: mailboxes that are filled by LMTP and read as Maildir files or by IMAP, all on loopback.

    with Dovecot(users=["alice@example.org"]) as mailbox:
        ... LMTP to 127.0.0.1:mailbox.lmtp_port, or mailbox.transport in Postfix ...
        mailbox.wait_letters("alice@example.org", 1)

Started by root, its processes run as accounts that every Debian has; started by anybody else, as that user.
"""

import grp
import imaplib
import mailbox
import os
import pwd

from harness import free_port, until

from .instance import Peer, PeerError, account, greeting, library_path

PASSWORD = "secret"

CONFIGURATION = """\
protocols = imap lmtp
listen = 127.0.0.1
base_dir = {folder}/run
state_dir = {folder}/state
libexec_dir = {package}/usr/lib/dovecot
mail_plugin_dir = {package}/usr/lib/dovecot/modules
login_plugin_dir = {package}/usr/lib/dovecot/modules/login
auth_socket_path = auth-userdb
log_path = {folder}/dovecot.log
import_environment = TZ LD_LIBRARY_PATH
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_username_chars =
auth_verbose = yes
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~/Maildir
mail_fsync = optimized
passdb {{
  driver = static
  args = password={password}
}}
{userdb}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp_port}
  }}
  unix_listener lmtp {{
    mode = 0666
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
namespace inbox {{
  inbox = yes
}}
"""

STATIC = """\
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={home} allow_all_users=yes
}}
"""

LISTED = """\
userdb {{
  driver = passwd-file
  args = username_format=%u {folder}/users
}}
"""


class Dovecot(Peer):
    """users: the mailboxes there are (others are refused with 550), or None: every address has one."""

    name = "dovecot"

    def __init__(self, users=None):
        super().__init__()
        self.users = users
        self.lmtp_port = free_port()
        self.imap_port = free_port()

    @property
    def transport(self):
        """Next hop for Postfix.transports."""
        return f"lmtp:inet:127.0.0.1:{self.lmtp_port}"

    @property
    def lmtp_socket(self):
        """LMTP on a Unix socket as well."""
        return self.path("run", "lmtp")

    @property
    def environment(self):
        libraries = self.path("lib") + ":" + library_path(
            self.package, "usr/lib/dovecot", "usr/lib/dovecot/modules/old-stats")
        return super().environment | {"LD_LIBRARY_PATH": libraries}

    def prepare(self):
        if os.getuid() == 0:
            internal, login, owner = account("daemon"), account("nobody"), account("mail")
        else:
            internal = login = owner = pwd.getpwuid(os.getuid())
        for name in ("lib", "run", "state", "mail"):
            os.mkdir(self.path(name), 0o755)
            os.chown(self.path(name), owner.pw_uid if name == "mail" else os.getuid(), -1)
        self._own_library()
        if self.users is None:
            userdb = STATIC.format(uid=owner.pw_uid, gid=owner.pw_gid, home=self.path("mail", "%u"))
        else:
            userdb = LISTED.format(folder=self.folder)
            self.write("users", "".join(
                f"{user}::{owner.pw_uid}:{owner.pw_gid}::{self.path('mail', user)}::\n" for user in self.users))
        configuration = self.write("dovecot.conf", CONFIGURATION.format(
            folder=self.folder, package=self.package, internal=internal.pw_name, login=login.pw_name,
            internal_group=grp.getgrgid(internal.pw_gid).gr_name, password=PASSWORD, userdb=userdb,
            lmtp_port=self.lmtp_port, imap_port=self.imap_port))
        # The master would have its settings read by /usr/bin/doveconf; ours hands them over before it starts.
        return [os.path.join(self.package, "usr/bin/doveconf"), "-f", "service=master", "-c", configuration,
                "-m", "master", "-e", os.path.join(self.package, "usr/sbin/dovecot"), "-F", "-c",
                configuration], self.environment

    def _own_library(self):
        """lmtp loads its TLS module from a folder whose name is compiled in, whatever the configuration says. A private
        copy of the library looks in the folder its processes stand in (base_dir) instead."""
        with open(os.path.join(self.package, "usr/lib/dovecot/libdovecot.so.0"), "rb") as library:
            code = library.read()
        place = b"/usr/lib/dovecot/modules\0"
        if place not in code:
            raise PeerError("this libdovecot names its modules folder in an unknown way")
        with open(self.path("lib", "libdovecot.so.0"), "wb") as out:
            out.write(code.replace(place, b"modules".ljust(len(place), b"\0")))
        os.symlink(os.path.join(self.package, "usr/lib/dovecot/modules"), self.path("run", "modules"))

    def ready(self):
        if "command startup failed" in self.logs():  # the master would try again for ever
            raise PeerError("one of its services does not start")
        return greeting(self.lmtp_port, b"220 ") and greeting(self.imap_port, b"* OK")

    def logs(self):
        return self.read("dovecot.log")

    def letters(self, user):
        """The letters in a user's inbox as email messages, in order of arrival, read from the Maildir."""
        place = self.path("mail", user, "Maildir")
        if not os.path.isdir(os.path.join(place, "new")):
            return []
        box = mailbox.Maildir(place, create=False)
        # Dovecot's file names begin with the second and the microsecond of arrival.
        order = sorted(box.keys(), key=lambda key: [int("".join(filter(str.isdigit, part)) or 0)
                                                    for part in key.split(".")[:2]])
        return [box[key] for key in order]

    def wait_letters(self, user, count, limit=30.0):
        """The same, once there are `count`."""
        return until(lambda: (found := self.letters(user)) and len(found) >= count and found, limit,
                     f"{count} letters for {user}")

    def imap(self, user):
        """An IMAP session of this user, inbox selected."""
        session = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=30)
        session.login(user, PASSWORD)
        session.select("INBOX")
        return session
