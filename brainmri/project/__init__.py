"""The `brainmri` command, and what it alone needs."""
