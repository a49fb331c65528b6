"""The method LayerFusion (Dalva et al., arXiv 2412.04460). Importing this package loads nothing.

| paper | code |
|---|---|
| three streams denoised together (Fig. 2) | `streams.Streams`: the rows of the batch |
| structure prior, from self-attention | `priors.participation`, `priors.structure_prior` |
| content confidence prior, from cross-attention | `priors.content_confidence` |
| soft and hard mask, decision boundary d (Fig. 3, 5d) | `masks.evidence`, `masks.hard_mask` |
| attention-level blending, the mixture (Fig. 2c) | `blending.blend_attention`, `blending.mixture_weights` |
| attention sharing for a consistent background | `blending.share_background`, `masks.background_tokens` |
| the two networks as one, coupled layer by layer | `attention.FusionProcessor`, `attach.attached` |
| the prior pass before each step | `coupling.Coupling.forward`, and the loop in `engine.diffusion.denoise` |
| priors kept and smoothed from step to step (our choice) | `prior_store.PriorStore` |
| masks of drawn and of given foregrounds (our choice for the latter) | `mask_builder.MaskBuilder` |

Our sources are the paper's abstract, figures and reviews. Formulas marked "our choice" are not in them.
docs/paper.md says what the figures show and where we differ.
"""
