"""The simulated set: an atlas, heads, lesions, and a scanner."""
