"""The networks: how they are built, trained, saved and asked."""
