"""`python -m server` is `xdream`."""

from server.cli import main

main()
