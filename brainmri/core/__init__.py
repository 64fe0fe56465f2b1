"""What every room stands on: errors, params, files, labels, the tables of who is what, and the closure of imports."""
