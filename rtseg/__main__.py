"""`python -m rtseg` is the `rtseg` command."""

from rtseg.cli import main

main()
