"""Studies of several models, runs or scenes: ablation, adaptation, scenes."""
