"""How a pixel is changed, who is a copy of whom, and who is in which split."""
