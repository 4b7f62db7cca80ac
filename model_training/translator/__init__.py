"""The translator: a Brownian-bridge diffusion model from optical to pseudo-SAR."""
