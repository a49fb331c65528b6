"""Numbers where the paper has pictures: what LayerFusion does on one model, against what one would do without it.

`items` (what is drawn) -> `systems` (LayerFusion, its options, and the baselines) -> `study` (draws, remembers, goes
on after a stop) -> `measures` on `regions`, against the light of the model's training data (`light`) -> `statistics`
(bootstrap) -> `table`, `claims` (in `rows`) -> `evaluation`, which also draws `charts` and `sheets`.
"""
