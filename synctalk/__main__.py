"""`python -m synctalk`: the command line."""

from synctalk.cli import main

main()
