"""Long work in pieces: on this machine, or on a Dask cluster."""
