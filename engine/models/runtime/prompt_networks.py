"""LoRAs and textual inversions of a job, most of which its prompts name: applied to the loaded model, and taken back.

All streams share the network's weights, so a LoRA acts on the whole picture, whichever layer's prompt names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from layerfusion.engine.errors import BrokenModel, InvalidRequest
from layerfusion.engine.models.catalog.identify import INVERSION_KEYS
from layerfusion.engine.models.catalog.network_files import find_network, inversions, network_folders
from layerfusion.engine.models.catalog.network_keys import NetworkPlan, plan_network
from layerfusion.engine.models.catalog.safetensors_header import Header, read_header
from layerfusion.engine.models.runtime.networks import add_network, targets_of
from layerfusion.engine.models.runtime.prompt_chunks import Embedding, named_in
from layerfusion.engine.models.runtime.state_dict import read_state
from layerfusion.engine.notices import Notice, Sentence, sentence
from layerfusion.engine.prompt_syntax import ParsedPrompt

_Chosen = tuple[tuple[Path, float], ...]


class PromptNetworks:
    """What prompts have added to one loaded model.

    Args:
        components: the networks “unet”, “text_encoder” and “text_encoder_2”.
        folders: more folders to search than `network_folders()` has.

    Attributes:
        embeddings: name -> textual inversion, for the current job.
    """

    def __init__(self, components: Mapping[str, nn.Module], folders: Sequence[Path] = ()) -> None:
        self._components = components
        self._folders = folders
        self._applied: _Chosen = ()
        self._kept: dict[tuple[str, str], nn.Parameter] = {}
        self.embeddings: dict[str, Embedding] = {}

    def prepare(self, prompts: Sequence[ParsedPrompt], added: _Chosen = ()) -> list[Notice]:
        """Bring the model into the state that a job asks for.

        Args:
            added: files and strengths of LoRAs that the job draws with besides, such as the few-step adapter.

        Returns:
            a notice about each thing that the prompts name and the model cannot use.

        Raises:
            InvalidRequest: the prompts give one LoRA different strengths.
            BrokenModel: one of `added` does not fit.
        """
        notices = [_ignored(sentence("syntax_ignored", words=text)) for text in _ignored_texts(prompts)]
        folders = network_folders(self._folders)
        chosen = list(added)
        self.embeddings = {}
        for name, strength in _strengths(prompts).items():
            path = find_network(name, folders)
            plan = self._plan(path, name, notices)
            if path is not None and plan is not None:
                chosen.append((path, strength))
                self._bundled(path, plan, notices)
        for name in dict.fromkeys(span.text for prompt in prompts for span in prompt.spans if span.embedding):
            if name not in self.embeddings:
                self._read_embedding(name, find_network(name, folders), notices)
        for name, path in _bare(prompts, inversions(folders)).items():
            self._read_embedding(name, path, notices, bare=True)
        self._apply(tuple(chosen))
        return notices

    def _plan(self, path: Path | None, name: str, notices: list[Notice]) -> NetworkPlan | None:
        """What a LoRA changes; None, with a notice, if there is none or it cannot be used."""
        if path is None:
            notices.append(_ignored(sentence("lora_missing", name=name), sentence("where_searched")))
            return None
        try:
            plan = plan_network(read_header(path), targets_of(self._components))
        except BrokenModel as error:
            notices.append(_ignored(sentence("lora_left_out", name=name), sentence("reason", reason=error)))
            return None
        notices += left_out(path, plan)
        return plan

    def _apply(self, chosen: _Chosen) -> None:
        if chosen == self._applied:
            return
        self._restore()
        try:
            for path, strength in chosen:
                plan = plan_network(read_header(path), targets_of(self._components))
                self._keep(plan)
                add_network(path, strength, self._components)
        except BaseException:
            self._restore()
            raise
        self._applied = chosen

    def _keep(self, plan: NetworkPlan) -> None:
        """Keep the parameters that will be replaced, in main memory."""
        for change in plan.changes:
            module = self._components[change.component].get_submodule(change.module)
            for name in ("weight", "bias"):
                old = getattr(module, name, None)
                if isinstance(old, nn.Parameter):
                    kept = old if old.device.type == "cpu" else nn.Parameter(old.cpu(), requires_grad=False)
                    self._kept.setdefault((change.component, f"{change.module}.{name}"), kept)

    def _restore(self) -> None:
        """Put the model's own parameters back, wherever the model is now."""
        for (component, name), old in self._kept.items():
            path, _, kind = name.rpartition(".")
            module = self._components[component].get_submodule(path)
            device = getattr(module, kind).device
            setattr(module, kind, old if old.device == device else nn.Parameter(old.to(device), requires_grad=False))
        self._kept.clear()
        self._applied = ()

    def _bundled(self, path: Path, plan: NetworkPlan, notices: list[Notice]) -> None:
        """Take over the textual inversions that a trainer has put into a LoRA's file; their names alone stand for
        them."""
        if not plan.embeddings:
            return
        state = read_state(path)
        for name, keys in plan.embeddings.items():
            pair = [state[keys[part]] for part in ("clip_l", "clip_g") if part in keys]
            if len(pair) != 2 or not self._add_embedding(name, pair[0], pair[1], bare=True):
                notices.append(_ignored(sentence("inversion_of_lora_left_out", name=name, file=path)))

    def _read_embedding(self, name: str, path: Path | None, notices: list[Notice], bare: bool = False) -> None:
        if path is None:
            notices.append(_ignored(sentence("inversion_missing", name=name), sentence("where_searched")))
            return
        consequence = sentence("inversion_read_as_words" if bare else "inversion_left_out", name=name)
        try:
            header = read_header(path)
            keys = next((pair for pair in INVERSION_KEYS if set(pair) <= header.tensors.keys()), None)
            state = {} if keys is None else read_state(path)  # read no weights of what is something else
        except BrokenModel as error:
            notices.append(_ignored(consequence, sentence("reason", reason=error)))
            return
        if keys is None or not self._add_embedding(name, state[keys[0]], state[keys[1]], bare=bare):
            notices.append(_ignored(consequence, sentence(_kind(header))))

    def _add_embedding(self, name: str, first: torch.Tensor, second: torch.Tensor, *, bare: bool) -> bool:
        """Add a textual inversion if it fits the text encoders; return whether it does."""
        if not (first.ndim and second.ndim and first.numel() and second.numel()):
            return False
        pair = (first.reshape(-1, first.shape[-1]), second.reshape(-1, second.shape[-1]))
        tables = [self._components[name] for name in ("text_encoder", "text_encoder_2")]
        widths = [table.get_input_embeddings().weight.shape[1] for table in tables]  # type: ignore[operator]
        if [vectors.shape[1] for vectors in pair] != widths or len(pair[0]) != len(pair[1]):
            return False
        self.embeddings[name] = Embedding(pair, bare)
        return True


def _bare(prompts: Sequence[ParsedPrompt], files: Mapping[str, Path]) -> dict[str, Path]:
    """Those textual inversions whose names stand alone in prompts."""
    texts = [span.text for prompt in prompts if not prompt.is_literal for span in prompt.spans if not span.embedding]
    return {name: files[name] for text in texts for _, _, name in named_in(text, files)}


def left_out(file: object, plan: NetworkPlan) -> tuple[Notice, ...]:
    """A notice if parts of a network's file have no use; nothing if there are none."""
    if not plan.left_out:
        return ()
    told = sentence("weights_left_out", file=file, count=len(plan.left_out), first=plan.left_out[0])
    return (Notice(code="weights_left_out", sentences=(told,)),)


def _ignored(*sentences: Sentence) -> Notice:
    return Notice(code="prompt_part_ignored", sentences=sentences)


def _ignored_texts(prompts: Sequence[ParsedPrompt]) -> list[str]:
    return list(dict.fromkeys(text for prompt in prompts for text in prompt.ignored))


def _strengths(prompts: Sequence[ParsedPrompt]) -> dict[str, float]:
    """LoRA -> strength.

    Raises:
        InvalidRequest: one has two strengths.
    """
    found: dict[str, float] = {}
    for tag in (tag for prompt in prompts for tag in prompt.loras):
        if found.setdefault(tag.name, tag.strength) != tag.strength:
            raise InvalidRequest(
                f"The LoRA “{tag.name}” has the strengths {found[tag.name]:g} and {tag.strength:g}.",
                "All layers share the network's weights: give one strength.",
            )
    return found


def _kind(header: Header) -> str:
    """The name of the sentence that says why a file is no textual inversion for SDXL."""
    if "emb_params" in header.tensors or any(name.startswith("string_to_param") for name in header.tensors):
        return "inversion_for_older_model"
    return "inversion_not_for_sdxl"
