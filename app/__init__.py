"""The page to look at scans and runs, and the HTTP API beside it. They import the library, never the stages."""
