"""From a scan to its answer."""
