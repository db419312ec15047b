"""What is asked of an agreement and written of one: explained, proved, compared, drawn in time, told on a page."""
