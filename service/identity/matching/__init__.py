"""Answer which vessel chips show: one chip, the chips of one image, two chips; keep the answers."""
