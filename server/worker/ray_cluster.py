"""The connection to a Ray cluster: one that the server starts on this machine, or one that runs already.

Ray runs whatever its clients send it, so its own token authentication is always on; the dashboard, which would be
another way in, and the reports of usage are off.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import threading
from types import ModuleType
from typing import Any

from layerfusion.server.errors import CannotServe

_ENVIRONMENT = {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
_TOKEN = "RAY_AUTH_TOKEN"  # noqa: S105 - a variable's name


_CONNECT_SECONDS = 60.0
"""A cluster that does not answer for so long counts as absent: Ray itself waits for ever."""


async def connect(address: str | None) -> RayCluster:
    """Start or join a cluster without blocking the event loop.

    Raises:
        CannotServe: see `RayCluster`, or the cluster does not answer in time.
    """
    loop = asyncio.get_running_loop()
    connected: asyncio.Future[RayCluster] = loop.create_future()

    def tell(cluster: RayCluster | None, error: BaseException | None) -> None:
        if connected.done():
            return
        if cluster is not None:
            connected.set_result(cluster)
        elif error is not None:
            connected.set_exception(error)

    def work() -> None:
        cluster, error = None, None
        try:
            cluster = RayCluster(address)
        except Exception as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the server has given up
            loop.call_soon_threadsafe(tell, cluster, error)

    # A daemon: a thread of the event loop's pool would keep the process from ending.
    threading.Thread(target=work, name="layerfusion-ray", daemon=True).start()
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            return await connected
    except TimeoutError:
        where = address or "this machine"
        raise CannotServe(
            f"The Ray cluster of {where} did not answer for {_CONNECT_SECONDS:g} s. See “ray status”."
        ) from None


def _check_reachable(address: str) -> None:
    """Whether somebody listens at "HOST:PORT"."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise CannotServe(f"“{address:.80}” is not an address of a Ray cluster. Give HOST:PORT of its head.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise CannotServe(f"No Ray cluster answers at {address}: {error}. Start its head: ray start --head") from error


class RayCluster:
    """A Ray cluster, as long as the context lasts.

    Args:
        address: "HOST:PORT" of the cluster's head; None starts a cluster of this machine alone, which ends with the
            server.

    Attributes:
        ray: the module `ray`.
        cards: number of graphics cards in the cluster.

    Raises:
        CannotServe: Ray is not installed, its authentication was switched off, or there is no such cluster or its
            token is another.
    """

    def __init__(self, address: str | None) -> None:
        for name, value in _ENVIRONMENT.items():
            if os.environ.setdefault(name, value) != value:
                raise CannotServe(
                    f"{name} is {os.environ[name]!r:.40}, with which this server does not use Ray. Unset it, and start "
                    f"the cluster's nodes with {name}={value}."
                )
        if address is None:
            # The cluster's processes inherit it. Ray reads it once, so that a second cluster needs the same.
            os.environ.setdefault(_TOKEN, secrets.token_hex(32))
        try:
            import ray  # it reads the environment
            import ray.exceptions
        except ImportError as error:
            raise CannotServe(f"Ray is not installed ({error}). Run: pip install 'layerfusion[ray]'") from error
        self.ray: ModuleType = ray
        if address is not None:
            _check_reachable(address)
        start: dict[str, Any] = {"include_dashboard": False} if address is None else {"address": address}
        try:
            ray.init(namespace="layerfusion", log_to_driver=False, logging_level=logging.ERROR, **start)
        except (ray.exceptions.RayError, ConnectionError, OSError, RuntimeError, ValueError) as error:
            where = address or "this machine"
            raise CannotServe(
                f"The Ray cluster of {where} cannot be used: {error}\nStart it with the same {_TOKEN} as this server."
            ) from error
        self.cards = int(ray.cluster_resources().get("GPU", 0))

    def close(self) -> None:
        """Leave the cluster. One that was started here ends."""
        self.ray.shutdown()
