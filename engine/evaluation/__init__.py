"""Quantitative evaluation of LayerFusion on one model, against baselines; the paper itself has pictures only.

Used by `layerfusion evaluate`. `items` (prompts and seeds, and `made_pictures`) -> `systems` (LayerFusion, its settings
and the baselines) -> `study` (draws and stores; can be stopped and resumed) -> `measures` and `kept_measures` on
`regions`, against the light of the model's training data (`light`) -> `statistics` (bootstrap) -> `table`, `claims`,
`moving`, `presets`, `kept` (as `rows`) -> `evaluation`, which also draws `charts`, `trade_off` and `contact_sheets`.
`model_card` measures the embedded model for its card, on `held_out_pairs` and on what one can `see_through`.
"""
