"""Generate a picture, move its object, and harmonise it, as in the paper's Fig. 1, with the embedded model.

    python examples/move_and_harmonise.py before.psd after.psd

Background and object are kept byte for byte. Shadow and Light are drawn for the new place of the object.
"""

import sys

from layerfusion import LayerFusion, harmonise, moved

OBJECT, SCENE = "a red apple", "a green meadow on a sunny day"


def main(before: str, after: str) -> None:
    pipe = LayerFusion.from_pretrained("tiny")
    first = pipe(OBJECT, background=SCENE, seed=3, size=(128, 128))
    first.save(before)
    there = moved(first.foreground, by=(24, 6), scale=0.6)
    pipe(harmonise(first, there, (OBJECT, SCENE), seed=3)).save(after)


if __name__ == "__main__":
    main(*sys.argv[1:3])
