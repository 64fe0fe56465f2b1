"""The `brainmri` command: a file for each kind of subcommand, with what it asks for and what runs it."""
