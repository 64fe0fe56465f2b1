"""`python -m brainmri`, the command without its script."""

from brainmri.commands.cli import main

main()
