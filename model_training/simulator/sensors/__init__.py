"""How the optical and the radar satellite picture a ship."""
