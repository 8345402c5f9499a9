"""`python -m server.status`: the status page as a process of its own."""

import typer

from server.status.command import status

if __name__ == "__main__":
    typer.run(status)
