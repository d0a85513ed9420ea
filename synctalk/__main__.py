"""`python -m synctalk`: the command line."""

from synctalk.cli.app import main

main()
