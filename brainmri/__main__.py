"""`python -m brainmri`, the command without its script."""

from brainmri.project.cli import main

main()
