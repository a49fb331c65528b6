"""The pictures that the embedded model is trained on, and their captions."""
