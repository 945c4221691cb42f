"""`python -m demo.cvat`: the stand-in as a process of its own. Prints one line of JSON with its address."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

from demo.cvat.running import listen, uvicorn_server
from demo.cvat.server import Server
from demo.cvat.settings import NEWER_RETRIES_S, RECORDED_SPEED, Account, Settings, Speed


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo.cvat", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080, help="0 is any free one")
    parser.add_argument(
        "--user", action="append", metavar="NAME:PASSWORD", help="may be repeated; the first is the administrator"
    )
    parser.add_argument("--access-token", default="", help="a personal access token of the administrator")
    parser.add_argument("--version", default=Settings.version, help="the version it says it has")
    parser.add_argument("--delivery-timeout", type=float, default=Settings.delivery_timeout_s, metavar="S")
    parser.add_argument("--newer", action="store_true", help="send failed deliveries again, as newer servers do")
    parser.add_argument("--retries", metavar="S,S…", help="--newer with this schedule")
    parser.add_argument("--import-seconds", type=float, default=0.0, metavar="S")
    parser.add_argument("--anonymous-per-minute", type=int, default=Settings.anonymous_per_minute)
    parser.add_argument("--recorded-speed", action="store_true", help="be as slow with annotations as a real server")
    return parser.parse_args()


def _settings(arguments: argparse.Namespace) -> Settings:
    accounts = list(Settings().accounts)
    if arguments.user:
        pairs = [text.partition(":") for text in arguments.user]
        accounts = [Account(name, password, superuser=index == 0) for index, (name, _, password) in enumerate(pairs)]
    accounts[0] = replace(accounts[0], access_token=arguments.access_token)
    retries: tuple[float, ...] = NEWER_RETRIES_S if arguments.newer else ()
    if arguments.retries:
        retries = tuple(float(text) for text in arguments.retries.split(","))
    return Settings(
        accounts=accounts,
        version=arguments.version,
        delivery_timeout_s=arguments.delivery_timeout,
        delivery_retries_s=retries,
        import_s=arguments.import_seconds,
        anonymous_per_minute=arguments.anonymous_per_minute,
        speed=RECORDED_SPEED if arguments.recorded_speed else Speed(),
    )


def main() -> None:
    arguments = _arguments()
    server = Server(_settings(arguments))
    listener = listen(arguments.host, arguments.port)
    print(json.dumps({"url": f"http://{arguments.host}:{listener.getsockname()[1]}"}), flush=True)
    web = uvicorn_server(server)
    web.run([listener])
    server.close()


if __name__ == "__main__":
    main()
