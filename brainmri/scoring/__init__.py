"""How good answers are, and how surely: scores, intervals, calibration, overlap of masks, paired tests."""
