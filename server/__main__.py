"""`python -m server` is `xdream`."""

import sys


def main() -> None:
    """Run the command line; where the server's libraries are not installed, say what to install."""
    try:
        from server.cli import main as run
    except ModuleNotFoundError as lacking:
        if (lacking.name or "").partition(".")[0] in ("server", "protocol"):
            raise
        sys.exit(
            f"xdream: {lacking.name} is not installed here: this installation is for the display PC or an adapter. "
            "For the server: pip install 'xdream[server]'"
        )
    run()


if __name__ == "__main__":
    main()
