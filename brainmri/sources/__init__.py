"""Where images come from: archives, known layouts, Kaggle, DICOM and NIfTI, and the slices of volumes."""
