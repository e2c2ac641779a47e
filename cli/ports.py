"""Ports: free ones for the embedded parts, and who sits on the one that the API wants."""

import contextlib
import errno
import random
import socket

import psutil

from cli.errors import CliError, PortInUseError

ANY_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared with, never listened on

PRIVATE_PORTS = range(20_000, 32_768)


def free_ports(count: int) -> list[int]:
    """Distinct loopback ports that nobody listens on at this moment.

    They lie below the range from which systems take the source ports of outgoing connections: while a part is down,
    a client that keeps trying to reach it could otherwise be given that very port and connect to itself.
    """
    candidates = random.sample(PRIVATE_PORTS, k=200)
    free = [port for port in candidates if _is_free(port)][:count]
    if len(free) < count:
        raise CliError(f"no free port between {PRIVATE_PORTS.start} and {PRIVATE_PORTS.stop} on 127.0.0.1")
    return free


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def reach_host(host: str) -> str:
    """The address under which a server that listens on `host` is reached from this machine."""
    return ANY_HOSTS.get(host, host)


def base_url(host: str, port: int) -> str:
    name = reach_host(host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def require_listenable(host: str, port: int) -> None:
    """Refuse, in one sentence with the remedy, an address that the API could not listen on.

    Raises:
        PortInUseError: somebody listens there already; the message names the process when the system tells.
        CliError: the address is not one of this machine, or the port is reserved.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise CliError(f"host {host!r} cannot be resolved: give an address of this machine with --host") from error
    with socket.socket(family, kind, proto) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise _bind_error(host, port, error) from error


def _bind_error(host: str, port: int, error: OSError) -> CliError:
    if error.errno == errno.EADDRINUSE:
        return PortInUseError(
            f"port {port} is in use{_holder(port)}: stop that process, or choose another port with --port"
        )
    if error.errno == errno.EACCES:
        return CliError(f"port {port} is reserved for the system administrator: choose one above 1023 with --port")
    return CliError(f"cannot listen on {host}:{port} ({error.strerror}): give an address of this machine with --host")


def _holder(port: int) -> str:
    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):  # macOS tells only the administrator
        return ""
    for connection in connections:
        local = connection.laddr
        if connection.status == psutil.CONN_LISTEN and local and local[1] == port and connection.pid:
            with contextlib.suppress(psutil.Error):
                return f" (by pid {connection.pid}, {psutil.Process(connection.pid).name()})"
    return ""
