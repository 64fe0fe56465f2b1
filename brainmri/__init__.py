"""The library that the pipeline's stages share: rooms in pipeline order, one noun a file."""
