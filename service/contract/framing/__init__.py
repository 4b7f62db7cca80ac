"""Find the ship in a loose chip, set it upright, cut it out, and judge the chip's quality."""
