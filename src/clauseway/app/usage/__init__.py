"""Usage on its way from journals and files into the lake, and what was damaged or lost of it; the
lake kept, moved, published and exported."""
