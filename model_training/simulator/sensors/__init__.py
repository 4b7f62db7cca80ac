"""Image formation of the optical and of the radar satellite."""
