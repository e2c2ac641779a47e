import os
import socket

import pytest

from cli.errors import CliError, PortInUseError
from cli.ports import PRIVATE_PORTS, base_url, free_ports, require_listenable


def test_free_ports_are_distinct_and_below_the_range_of_outgoing_connections() -> None:
    ports = free_ports(8)
    assert len(set(ports)) == 8
    assert all(port in PRIVATE_PORTS for port in ports)


def test_a_busy_port_is_refused_with_its_holder_and_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(PortInUseError, match=rf"^port {port} is in use \(by pid {os.getpid()}, .+\): .*--port"):
            require_listenable("127.0.0.1", port)


def test_a_free_port_is_accepted() -> None:
    require_listenable("127.0.0.1", free_ports(1)[0])


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(CliError, match=r"192\.0\.2\.1.*--host"):
        require_listenable("192.0.2.1", 8000)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:8000"),
        ("::", "http://[::1]:8000"),
    ],
)
def test_the_url_leads_to_the_listener(host: str, url: str) -> None:
    assert base_url(host, 8000) == url
