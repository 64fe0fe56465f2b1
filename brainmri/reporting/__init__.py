"""What people read of a run: documents, charts, galleries, the model card and the page."""
