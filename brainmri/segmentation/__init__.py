"""The methods that outline a tumour."""
