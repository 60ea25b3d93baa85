"""Which addresses a payer's own requests may go to: the one door for every URL that another gave.

A payer is handed URLs by others: a token endpoint, a status address, files, pages, redirects, key
sets. Each is judged here twice: as text, before anything is looked up, and as the address its name
leads to, when the connection is made. The connection goes to the address that was judged, so that
a name that changes its answer (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import SplitResult, urlsplit

from .errors import AddressRefused, SettingsError

Resolver = Callable[[str, int], Sequence[str]]
_PORTS = {"https": 443, "http": 80}
# What all parsers of URLs read alike: no user, no blank, no backslash, no letter that looks like
# another one (an international name is written in its ASCII form).
_NETLOC = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_ODD = re.compile(r"[\x00-\x20\x7f\\]")
# Addresses that carry another one inside, which a gateway on the way would go to.
_NAT64 = IPv6Network("64:ff9b::/96")
# Reserved, or carrying another address, whatever the running Python's own lists know of it.
_RESERVED = tuple(
    map(
        ip_network,
        ("192.0.0.0/24", "192.88.99.0/24", "2002::/16", "2001::/23", "64:ff9b:1::/48", "::/96",
         "3fff::/20", "5f00::/16"),
    )
)  # fmt: skip


def system_resolver(host: str, port: int) -> list[str]:
    """The addresses of a name as this machine finds them; raises OSError when there are none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class EgressRules:
    """Where one client's requests may go. Without a word said: https, port 443, public addresses.

    Raises SettingsError for a network that is none, or that is this machine's own.
    """

    origins: frozenset[str] = frozenset()
    """The only origins there are; empty: any."""
    ports: tuple[int, ...] = ()
    """Ports besides 443 and those that the origins name."""
    networks: tuple[str, ...] = ()
    """Networks that are not public and may be reached all the same, as 10.20.0.0/16."""
    allow_loopback: bool = False
    """For tests alone: this machine, and plain http to it, may be reached."""
    typed: str = ""
    """The URL that the user typed, who may mean any address with it."""
    resolve: Resolver = field(default=system_resolver, repr=False, compare=False)

    def __post_init__(self) -> None:
        for text in self.networks:
            _network(text)

    def check_url(self, url: str) -> str:
        """The URL, if a request may be sent there; raises AddressRefused with the reason."""
        parts = _split(url)
        origin, named = normal_origin(url), self._named()
        if self.origins and origin not in named:
            raise AddressRefused(
                f"{origin} is not an address that this payer is registered with. "
                "Add it to the registration (api_origins or file_origins) if it is right."
            )
        if parts.scheme == "http" and not self._may_be_plain(parts):
            raise AddressRefused(
                f"{origin} is plain http. Members' data and tokens go over https alone: ask the "
                "payer for an https address. (On loopback the test setting allow_loopback permits "
                "it.)"
            )
        if origin not in named and not self._may_have_port(parts):
            raise AddressRefused(f"{origin} has an unusual port, which no setting names.")
        return url

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses to connect to, in order; all are checked.

        Raises AddressRefused when one of them is forbidden, and OSError without any.
        """
        found = list(self.resolve(host, port))
        if self._is_typed(host):
            return found
        for text in found:
            if not self._may_reach(text):
                raise AddressRefused(
                    f"{host} leads to an address inside a network ({_kind(text)}), where another "
                    "payer cannot be. If it is right, name the network in allowed_networks."
                )
        return found

    def _named(self) -> frozenset[str]:
        return self.origins | ({normal_origin(self.typed)} if self.typed else set())

    def _is_typed(self, host: str) -> bool:
        return bool(self.typed) and _split(self.typed).hostname == host.strip("[]").lower()

    def _is_test(self) -> bool:
        """Whether the user typed an address for tests: plain http, or this machine."""
        if not self.typed:
            return False
        parts = _split(self.typed)
        return parts.scheme == "http" or is_loopback_host(str(parts.hostname))

    def _may_be_plain(self, parts: SplitResult) -> bool:
        if self.typed.startswith("http:"):
            return True
        return self.allow_loopback and is_loopback_host(str(parts.hostname))

    def _may_have_port(self, parts: SplitResult) -> bool:
        port = parts.port or _PORTS[parts.scheme]
        if self.allow_loopback and is_loopback_host(str(parts.hostname)):
            return True
        return bool(self.typed) or port == 443 or port in self.ports

    def _may_reach(self, text: str) -> bool:
        address = ip_address(text.partition("%")[0])
        if is_public(address):
            return True
        if address.is_loopback:
            return self.allow_loopback or self._is_test()
        if _is_never_a_payer(address):
            return False
        if self._is_test() or any(address in _network(n) for n in self.networks):
            return True
        return self._lies_inside()

    def _lies_inside(self) -> bool:
        """Whether the typed address is itself inside a network, as on a payer's own test site."""
        parts = _split(self.typed) if self.typed else None
        if parts is None or not parts.hostname:
            return False
        found = self.resolve(parts.hostname, parts.port or _PORTS[parts.scheme])
        return any(not is_public(ip_address(text.partition("%")[0])) for text in found)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is one of the open internet, also by what it carries inside."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        if address.ipv4_mapped or address.is_site_local:
            return False
    if any(address in network for network in _RESERVED):
        return False
    return address.is_global and not address.is_multicast


def normal_origin(url: str) -> str:
    """Scheme, host and port of a URL in one spelling; raises AddressRefused when it has none."""
    parts = _split(url)
    host = str(parts.hostname).rstrip(".")
    host = f"[{host}]" if ":" in host else host
    port = parts.port
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, _PORTS[parts.scheme])
                                         else "")  # fmt: skip


def origins_of(urls: Iterable[str]) -> frozenset[str]:
    """The origins of URLs, the empty ones left out."""
    return frozenset(normal_origin(url) for url in urls if url)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressRefused("An address the other payer gave is no URL.") from error
    if parts.scheme not in _PORTS or _ODD.search(url) or not parts.hostname or port == 0:
        raise AddressRefused("An address the other payer gave is no URL of https.")
    if "@" in parts.netloc:
        raise AddressRefused("An address the other payer gave holds a user name or password.")
    if not _NETLOC.fullmatch(parts.netloc):
        raise AddressRefused("An address the other payer gave has a host that is no host name.")
    return parts


def is_loopback_host(host: str) -> bool:
    """Whether a host, by name or address, is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_never_a_payer(address: IPv4Address | IPv6Address) -> bool:
    """Link-local (where clouds keep their machines' secrets), multicast, and no address at all."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return True
    return address.is_link_local or address.is_multicast or address.is_unspecified


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise SettingsError(
            f"allowed_networks: {text} is no network. Write 10.20.0.0/16."
        ) from error
    if network.is_loopback or network.is_link_local or network.prefixlen == 0:
        raise SettingsError(f"allowed_networks: {text} would open what no payer lies in.")
    return network


def _kind(text: str) -> str:
    address = ip_address(text.partition("%")[0])
    for name in ("loopback", "link_local", "multicast", "unspecified", "private"):
        if getattr(address, f"is_{name}"):
            return name.replace("_", "-")
    return "reserved"
