"""Images as numpy arrays: sizes, layers, compositing, resampling, and the Shadow and Light layers. No torch."""
