"""`xdream status`: serve the page for a session file, or a folder of them."""

import socket
import ssl
from pathlib import Path
from typing import Annotated

import typer

from protocol.keys import KEY_VARIABLE, KeyProblem, read_peer_key
from server.status.access import Access, AccessError, add_token, for_host, is_loopback
from server.status.process import PORT

SERVER = "tcp://127.0.0.1:5670"


def status(
    place: Annotated[Path, typer.Argument(metavar="[FILE|FOLDER]", help="A session file, or a folder of them.")] = Path(
        "sessions"
    ),
    host: Annotated[
        str, typer.Option(help="Address to serve at; 0.0.0.0 = every network, with --access.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve at; 0 = any free one.")] = PORT,
    server: Annotated[str, typer.Option(help="The xdream server that is asked to pause, stop, ...")] = SERVER,
    watch: Annotated[bool, typer.Option("--watch", help="Only look: no connection to any server.")] = False,
    access: Annotated[Path | None, typer.Option(help="The file with the tokens; needed beyond this machine.")] = None,
    name: Annotated[list[str] | None, typer.Option(help="Another name that the page is called by; repeatable.")] = None,
    new_token: Annotated[str | None, typer.Option(help="Make a token, viewer:NAME or operator:NAME, and end.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate (PEM), for https.")] = None,
    key: Annotated[Path | None, typer.Option(help="Key of the certificate (PEM); no peer's key.")] = None,
    peer_key: Annotated[
        Path | None, typer.Option(envvar=KEY_VARIABLE, help="What the server asks for: xdream keys make.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")] = False,
) -> None:
    """Serve the status page: look at sessions, running or finished, and pause, stop or annotate the one that runs."""
    try:
        if new_token is not None:
            typer.echo(add_token(access or Path("access.json"), new_token))
            return
        if not place.exists():
            raise AccessError(f"there is no session file or folder {place}")
        names = {socket.gethostname(), *(name or [])} if not is_loopback(host) else set(name or [])
        rules = for_host(host, names, access)
        _check_certificate(certificate, key)
        mine = read_peer_key(peer_key) if peer_key and not watch else None
        listening = _listen(host, port)
    except (AccessError, KeyProblem, OSError) as error:
        typer.echo(f"xdream status: {error}", err=True)
        raise typer.Exit(1) from None
    if not quiet:
        _say_where(listening, host, rules, certificate is not None)
    # A second's worth of imports, which no other command needs to wait for.
    from server.status.serving import serve

    serve(place, None if watch else server, rules, listening, certificate, key, mine)


def _check_certificate(certificate: Path | None, key: Path | None) -> None:
    """Raise AccessError unless the page can be served with these, before anybody is told where it is."""
    if certificate is None and key is not None:
        raise AccessError(
            f"--key {key} is the key of a certificate: say which, --certificate FILE. "
            "The key that the xdream server asks for is --peer-key."
        )
    for file in filter(None, (certificate, key)):
        if not file.is_file():
            raise AccessError(f"there is no file {file}")
    if certificate is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        except OSError as error:
            with_key = f" with the key {key}" if key else ""
            raise AccessError(f"the certificate {certificate} cannot be used{with_key}: {error}") from error


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise OSError(f"cannot serve at {host}, port {port}: {error.strerror}. Take another: --port 0") from error
    return listening


def _say_where(listening: socket.socket, host: str, rules: Access, secure: bool) -> None:
    port = listening.getsockname()[1]
    called = "localhost" if host in ("0.0.0.0", "::") else host  # binds nothing  # nosec B104
    typer.echo(f"status page at http{'s' if secure else ''}://{called}:{port}/  (Ctrl-C closes it, and nothing else)")
    if rules.asks and not secure:
        typer.echo("Tokens travel in the clear here: add --certificate and --key, or keep to the rig's own network.")
