"""The library that the pipeline's stages share: one noun a file."""
