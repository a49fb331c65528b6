"""What the loop needs from a diffusion network, and the networks that give it. Importing this package loads nothing."""
