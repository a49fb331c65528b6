"""Pictures as numpy arrays: sizes, layers, compositing, resampling, and Shadow and Light."""
