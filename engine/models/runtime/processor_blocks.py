"""Shorter forward passes of diffusers' blocks, for drawing on a processor.

On small pictures, a third of the time of diffusers' own passes is spent around the operations: in calls, in checks of
what is never given here, and in copies between the two orders of a picture's values. These passes compute the same
values up to rounding, in place where they can, with the channels last, so that tokens are a view of a picture.

A pass replaces `forward` of one module; hooks run as before, those of the modules within it, too. With gradients
enabled, as in training, diffusers' own passes run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.activations import GEGLU
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn


def shorten_passes(network: nn.Module) -> None:
    """Give the blocks of a network whose structure is known the passes of this module; others keep their own.

    Args:
        network: a network that computes on a processor. Its weights may be replaced later, but not edited in place.
    """
    nn.Module.to(network, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - not in the stub
    for module in network.modules():
        short = _pass_of(module)
        if short is not None:
            module.forward = partial(_unless_training, partial(type(module).forward, module), short)


def _unless_training(own: Callable[..., Any], short: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return (own if torch.is_grad_enabled() else short)(*args, **kwargs)


def _pass_of(module: nn.Module) -> Callable[..., Any] | None:
    """The short pass of a module, None if there is none for its kind or its settings."""
    if type(module) is ResnetBlock2D and _is_plain_residual(module):
        return partial(_residual, module)
    if type(module) is BasicTransformerBlock and _is_plain_transformer(module):
        return partial(_transformer, module)
    if type(module) is Transformer2DModel and module.is_input_continuous:
        return partial(_transformers, module)
    if type(module) is Upsample2D and module.use_conv and module.interpolate and module.norm is None:
        conv = getattr(module, module.name if module.name == "conv" else "Conv2d_0")
        return _Enlarged(conv) if conv.kernel_size == (3, 3) and conv.padding == (1, 1) else None
    return None


def _is_plain_residual(block: ResnetBlock2D) -> bool:
    return (
        block.upsample is None
        and block.downsample is None
        and (block.time_emb_proj is None or (block.time_embedding_norm == "default" and not block.skip_time_act))
        and block.output_scale_factor == 1
        and isinstance(block.nonlinearity, nn.SiLU)
    )


def _is_plain_transformer(block: BasicTransformerBlock) -> bool:
    return (
        block.norm_type == "layer_norm"
        and block.pos_embed is None
        and block.attn2 is not None
        and not block.only_cross_attention
        and not hasattr(block, "fuser")
        and isinstance(block.ff.net[0], GEGLU)
    )


def _is_hooked(module: nn.Module) -> bool:
    """Whether a call does more than the module's own `forward`; then it is called, and not computed here."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _residual(block: ResnetBlock2D, x: Tensor, temb: Tensor | None = None, *_: Any, **__: Any) -> Tensor:
    """(B, C, h, w) and the embedding of the time, (B, E), to (B, C', h, w)."""
    h = _convolved(block.conv1, F.silu(_group_normed(block.norm1, x), inplace=True))
    if temb is not None and block.time_emb_proj is not None:
        h += block.time_emb_proj(F.silu(temb))[:, :, None, None]
    h = _convolved(block.conv2, F.silu(_group_normed(block.norm2, h), inplace=True))
    return h.add_(x if block.conv_shortcut is None else _convolved(block.conv_shortcut, x))


def _transformers(
    module: Transformer2DModel,
    x: Tensor,
    encoder_hidden_states: Tensor | None = None,
    *_: Any,
    **__: Any,
) -> tuple[Tensor]:
    """(B, C, h, w) to (B, C, h, w), in a tuple, as the UNet's blocks take it."""
    batch, channels, height, width = x.shape
    tokens = _group_normed(module.norm, x).permute(0, 2, 3, 1).reshape(batch, height * width, channels)
    tokens = _per_token(module.proj_in, tokens)
    for block in module.transformer_blocks:
        tokens = block(tokens, encoder_hidden_states=encoder_hidden_states)
    tokens = _per_token(module.proj_out, tokens)
    return (tokens.view(batch, height, width, channels).permute(0, 3, 1, 2).add_(x),)


def _transformer(
    block: Any,  # a `BasicTransformerBlock` whose norms are plain; its class does not say so
    x: Tensor,
    attention_mask: Tensor | None = None,
    encoder_hidden_states: Tensor | None = None,
    *_: Any,
    **__: Any,
) -> Tensor:
    """(B, N, C) to (B, N, C)."""
    assert attention_mask is None, "The short pass supports no attention mask."
    x = block.attn1(_layer_normed(block.norm1, x)).add_(x)
    x = block.attn2(_layer_normed(block.norm2, x), encoder_hidden_states=encoder_hidden_states).add_(x)
    widen, _, narrow = block.ff.net
    if _is_hooked(block.ff) or _is_hooked(widen):
        return block.ff(_layer_normed(block.norm3, x)).add_(x)
    values, gate = _per_token(widen.proj, _layer_normed(block.norm3, x)).chunk(2, dim=-1)
    return _per_token(narrow, F.gelu(gate).mul_(values)).add_(x)


class _Enlarged:
    """A 3x3 convolution of a picture that is enlarged to twice its size by repetition, without enlarging it.

    Each of the four pixels that an old pixel becomes sees only 2x2 old ones, so that four convolutions of that size
    give the same values with 4/9 of the operations.

    Args:
        conv: the convolution, with a padding of 1.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        self._conv = conv
        self._made_of: Tensor | None = None
        self._kernels = torch.empty(0)

    def __call__(self, x: Tensor, output_size: Any = None, *_: Any, **__: Any) -> Tensor:
        """(B, C, h, w) to (B, C', 2h, 2w), or to `output_size`, by convolving the enlarged picture."""
        if output_size is not None and tuple(output_size) != (2 * x.shape[-2], 2 * x.shape[-1]):
            return self._conv(F.interpolate(x, size=output_size, mode="nearest"))
        if _is_hooked(self._conv):
            return self._conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        outputs, (height, width) = self._conv.out_channels, x.shape[-2:]
        bias = None if self._conv.bias is None else self._conv.bias.repeat(4)
        parts = torch.conv2d(x, self._kernels_of(self._conv.weight), bias, 1, 1)  # (B, 4 C', h + 1, w + 1)
        size = (len(x), outputs, 2 * height, 2 * width)
        out = torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        for place in range(4):
            down, right = divmod(place, 2)
            part = parts[:, place * outputs : (place + 1) * outputs]
            out[:, :, down::2, right::2] = part[:, :, down : down + height, right : right + width]
        return out

    def _kernels_of(self, weight: Tensor) -> Tensor:
        """The four kernels of (C', C, 3, 3), as (4 C', C, 2, 2). They are made anew if the weight is another."""
        held = self._made_of
        if held is None or (weight.data_ptr(), weight.dtype) != (held.data_ptr(), held.dtype):
            kernels = [pair for rows in _merged(weight, 2) for pair in _merged(rows, 3)]
            self._kernels = torch.cat(kernels).contiguous(memory_format=torch.channels_last)
            self._made_of = weight.detach()  # it is kept, so that no other weight gets its address
        return self._kernels


def _merged(weight: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Three taps along a dimension as two, for the first and for the second of the pixels that repeat one."""
    first, middle, last = weight.unbind(dim)
    return torch.stack([first, middle + last], dim), torch.stack([first + middle, last], dim)


def _convolved(conv: nn.Conv2d, x: Tensor) -> Tensor:
    if _is_hooked(conv):
        return conv(x)
    if conv.kernel_size == (1, 1) and conv.stride == (1, 1):  # with the channels last it is a product of matrices
        return F.linear(x.permute(0, 2, 3, 1), conv.weight.flatten(1), conv.bias).permute(0, 3, 1, 2)
    return torch.conv2d(x, conv.weight, conv.bias, conv.stride, conv.padding)


def _per_token(layer: nn.Module, tokens: Tensor) -> Tensor:
    """A linear layer, or a 1x1 convolution as one; (B, N, C) to (B, N, C')."""
    if _is_hooked(layer):
        if isinstance(layer, nn.Conv2d):  # of pictures, so that the tokens are a picture of one row
            return layer(tokens.transpose(1, 2)[:, :, None])[:, :, 0].transpose(1, 2)
        return layer(tokens)
    weight: Any = layer.weight
    bias: Any = layer.bias
    return F.linear(tokens, weight if weight.ndim == 2 else weight.flatten(1), bias)


def _group_normed(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    if _is_hooked(norm):
        return norm(x)
    return torch.group_norm(x, norm.num_groups, norm.weight, norm.bias, norm.eps)


def _layer_normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    if _is_hooked(norm):
        return norm(x)
    return torch.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
