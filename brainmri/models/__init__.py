"""The networks: how they are built, fed, saved and asked."""
