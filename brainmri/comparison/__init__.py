"""What changed between two revisions, and between the runs of a sweep."""
