"""Owns a PostgreSQL that demands TLS and a client's certificate: the machine's own, since the tests' package is built without TLS."""

import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

from infra.children import die_with_this_process
from infra.kafka.broker import port_is_open
from tests.support.ports import free_port

_ACCOUNT = "postgres"
"""The server refuses to run as root, and Debian's package brings this account."""


def server_programs() -> Path | None:
    """Where `postgres` and `initdb` of a server with TLS are, newest first; `None` where there is none that we may run."""
    if os.geteuid() == 0 and subprocess.run(["id", _ACCOUNT], capture_output=True, check=False).returncode != 0:
        return None
    for directory in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if all((directory / name).exists() for name in ("postgres", "initdb")):
            return directory
    return None


@contextmanager
def secure_postgres(programs: Path, ca: trustme.CA) -> Iterator[str]:
    """The URL of an empty database, without a word on TLS; the user `ringfold` needs a certificate of that name from the CA."""
    account = _ACCOUNT if os.geteuid() == 0 else getpass.getuser()
    directory = Path(tempfile.mkdtemp(prefix="ringfold-postgres-"))
    port, data = free_port(), directory / "data"
    try:
        shutil.chown(directory, account)
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "ringfold", "-A", "trust", "--no-sync"], user=account, check=True, capture_output=True
        )
        _configure(data, ca, port, account)
        command = [str(programs / "postgres"), "-D", str(data)]
        with (
            (directory / "log").open("wb") as log,
            subprocess.Popen(command, user=account, stdout=log, stderr=log, preexec_fn=die_with_this_process()) as server,
        ):
            while not port_is_open(port):
                assert server.poll() is None, (directory / "log").read_text()
            try:
                yield f"postgresql://ringfold@localhost:{port}/postgres"
            finally:
                server.kill()
    finally:
        shutil.rmtree(directory)


def _configure(data: Path, ca: trustme.CA, port: int, account: str) -> None:
    own = ca.issue_cert("localhost")
    ca.cert_pem.write_to_path(data / "root.crt")
    own.private_key_pem.write_to_path(data / "server.key")
    for number, blob in enumerate(own.cert_chain_pems):
        blob.write_to_path(data / "server.crt", append=number > 0)
    (data / "server.key").chmod(0o600)
    (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 cert\n")
    with (data / "postgresql.conf").open("a") as settings:
        settings.write(f"listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nfsync = off\n")
        settings.write("ssl = on\nssl_ca_file = 'root.crt'\n")
    for path in (data / "root.crt", data / "server.key", data / "server.crt"):
        shutil.chown(path, account)
