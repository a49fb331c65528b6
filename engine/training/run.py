"""The training, stage by stage, in one folder. Each stage starts from what the ones before it left, or from the export.

    dataset -> vae -> thin -> latents -> unet -> transparency -> deltas -> distill -> decoder -> alpha -> export
    dataset -> classifier -> measure

`thin` is for an edition whose VAE has fewer channels than that of the model it is made from. `data/` holds the sets,
`latents.safetensors` the encoded pictures, and a folder a stage its checkpoint, log, curve and sheets, and
`weights.safetensors` when its time is over.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPTokenizer

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.models.catalog.manifest import read_manifest
from layerfusion.engine.models.catalog.spec import located
from layerfusion.engine.models.runtime.loading import ModelBundle, load_model
from layerfusion.engine.training import (
    alpha,
    classifier,
    deltas,
    distill,
    export,
    latents,
    loop,
    sharpening,
    transparency,
    unet,
    vae,
)
from layerfusion.engine.training.data import dataset
from layerfusion.engine.training.data.vocabulary import Vocabulary, with_article
from layerfusion.engine.training.drawn_again import DrawnAgain
from layerfusion.engine.training.edition import read_edition
from layerfusion.engine.training.geometry import stride_of
from layerfusion.engine.training.prediction import louder
from layerfusion.engine.training.stages import EXAMPLES, MINUTES, NAMELESS_SHARE, STAGES
from layerfusion.engine.training.wordpieces import make_tokenizer, with_pieces_of
from layerfusion.engine.transparency.compact import CompactTransparentDecoder, CompactTransparentEncoder


class TrainingRun:
    """One training.

    Args:
        folder: where everything goes.
        card: what to start from, a model's card or a new edition's `edition.json`.
        device: where networks are trained.
    """

    def __init__(self, folder: Path, card: Path, device: str = "cpu") -> None:
        self.folder = folder
        self._edition = read_edition(card)
        self._card = self._edition.card
        self._device = torch.device(device)

    @property
    def vocabulary(self) -> Vocabulary:
        """The objects and scenes it is about."""
        return self._edition.known

    def run(self, stage: str, *, minutes: float | None = None, rate: float = 1.0, sprites: Path | None = None) -> None:
        """Run one stage of `STAGES` up to `export`, or go on with it.

        Args:
            minutes: of training in all, earlier runs included.
            rate: factor on the stage's learning rates; less than 1 suits a network that is nearly trained.
            sprites: the unpacked sprite packages; `dataset` needs them.

        Raises:
            InvalidRequest: an unknown stage, or something an earlier stage must make first.
        """
        if stage == "dataset":
            self.build_sets(sprites)
        elif stage == "latents":
            bundle = self.bundle()
            latents.encode_all(bundle.vae, self._encoded_sets(), self._latents)
        elif stage == "checkpoint":
            self.write_checkpoint(self.folder / "checkpoint")
        elif stage == "export":
            self.export_to(self.folder / "export")
        elif stage in MINUTES:
            self._train(stage, MINUTES[stage] if minutes is None else minutes, rate)
        else:
            raise InvalidRequest(f"There is no stage “{stage}”.", f"Stages are: {', '.join(STAGES)}.")

    def build_sets(self, sprites: Path | None) -> None:
        """Draw the training sets, the held-out one, and the classifier's."""
        if sprites is None:
            raise InvalidRequest("The dataset needs the sprites.", "Say where they are with --sprites FOLDER.")
        for plan, (count, seed) in EXAMPLES.items():
            where = self.folder / "data" / plan
            dataset.build(
                where,
                sprites,
                count=self._edition.examples.get(plan, count),
                seed=seed,
                workers=os.cpu_count() or 1,
                plan=cast(dataset.Plan, plan),
                native=self._edition.native_size,
                vocabulary=self._edition.vocabulary,
            )

    def bundle(self) -> ModelBundle:
        """The model as far as it has come: what the training started from, and in its place what stages have left."""
        bundle = load_model(read_manifest(self._card), device=self._device)
        bundle.memory.run(lambda: None)  # brings all of it to the device
        vae_, unet_ = self._edition.make_vae(bundle.vae), self._edition.make_unet(bundle.unet)
        bundle = replace(bundle, vae=vae_.to(self._device), unet=unet_.to(self._device))  # type: ignore[arg-type]
        if self._edition.unet is not None:
            bundle = replace(bundle, scheduler_config=louder(self._edition.noise))
        tokenizer, *encoders = self._edition.make_text_encoders((bundle.tokenizers[0], *bundle.text_encoders))
        encoders = tuple(encoder.to(self._device) for encoder in encoders)
        bundle = replace(bundle, tokenizers=(tokenizer, tokenizer), text_encoders=cast(Any, encoders))
        unet_state = self._left("unet")
        if unet_state is not None:
            tokenizer = self._tokenizer()
            encoders = self._encoders(bundle, tokenizer)
            bundle = replace(bundle, tokenizers=(tokenizer, tokenizer), text_encoders=cast(Any, encoders))
            parts = {"unet": bundle.unet, "text_encoder": encoders[0], "text_encoder_2": encoders[1]}
            nn.ModuleDict(parts).load_state_dict(unet_state)
        for stage in ("vae", "thin", "decoder"):
            state = self._left(stage)
            if state is not None:
                bundle.vae.load_state_dict(state)
                bundle.vae.register_to_config(scaling_factor=float(self._facts(stage)["scaling_factor"]))
        if self._edition.vae is not None or self._edition.transparency is not None:
            pair = self._edition.make_transparency(bundle.vae, _transparency(bundle))
            bundle = replace(bundle, encoder=pair[0].to(self._device), decoder=pair[1].to(self._device))
        for stage in ("transparency", "alpha"):
            state = self._left(stage)
            if state is not None:
                nn.ModuleDict({"encoder": bundle.encoder, "decoder": bundle.decoder}).load_state_dict(state)
        return bundle

    def write_checkpoint(self, folder: Path) -> None:
        """Write what a new edition has of its own so far, to go on from elsewhere (`--from FOLDER/edition.json`)."""
        bundle = self.bundle()
        trained = self._edition.text_encoders is not None or self._left("unet") is not None
        words = (bundle.tokenizers[0], *bundle.text_encoders) if trained else None
        own, adapter = self._trained_deltas(bundle.unet), self._few_steps()
        transparent = self._edition.transparency is not None or any(map(self._left, ("transparency", "alpha")))
        self._edition.write(
            folder,
            vae=bundle.vae,
            unet=bundle.unet if trained else None,
            words=words,
            transparency=export.transparent_state(*_transparency(bundle)) if transparent else None,
            deltas=None if own is None else deltas.state_of(own),
            few_steps=None if adapter is None else load_file(str(adapter)),
        )

    def export_to(self, folder: Path) -> int:
        """Write a model: `model.json`, the card this training started from with the vocabulary of now, and `weights`.

        Returns:
            its size in bytes.

        Raises:
            InvalidRequest: the deltas are not trained yet, or it is too large to ship.
        """
        bundle = self.bundle()
        own, adapter = self._trained_deltas(bundle.unet), self._few_steps()
        if own is None:
            raise InvalidRequest("The foreground deltas are not trained yet.", "Run the stage “deltas” first.")
        size = export.export(
            folder / "weights",
            unet=bundle.unet,
            encoders=bundle.text_encoders,
            tokenizer=bundle.tokenizers[0],
            vae=bundle.vae,
            transparency=_transparency(bundle),
            deltas=own,
            schedule=bundle.scheduler_config,
        )
        size += 0 if adapter is None else adapter.stat().st_size
        if size > export.LARGEST:
            raise InvalidRequest(f"The export takes {size} bytes.", f"It may take {export.LARGEST}.")
        if adapter is not None:
            shutil.copy(adapter, folder / "weights" / distill.FEW_STEPS)
        shutil.copy(self._card, folder / "model.json")
        native = self._edition.native_size
        export.write_card(
            folder / "model.json",
            native_size=native,
            stride=stride_of(bundle.unet, bundle.vae),
            vocabulary=self.vocabulary,
            few_steps=adapter is not None,
        )
        return size

    def trained_classifier(self) -> classifier.ClassifierNetwork:
        """What names objects and scenes.

        Raises:
            InvalidRequest: it is not trained yet.
        """
        weights = self.folder / "classifier" / "weights.safetensors"
        if not weights.exists():
            raise InvalidRequest("The classifier is not trained yet.", "Run the stage “classifier” first.")
        return classifier.load_classifier(weights, self.vocabulary)

    def _train(self, name: str, minutes: float, rate: float) -> None:
        stage = self._stage(name)
        progress = loop.run(stage, self.folder / name, minutes=minutes, rate=rate)
        facts = {"samples": str(progress.samples), "seconds": f"{progress.seconds:.0f}"}
        if isinstance(stage, vae.AutoencoderStage | sharpening.SharpeningStage):
            scale = stage.vae.config["scaling_factor"]
            facts["scaling_factor"] = str(
                scale if name in ("decoder", "thin") else vae.latent_scale(stage.vae, self.examples("train"))
            )
        if isinstance(stage, distill.DistillStage):
            stage.adapter.write(self.folder / name / distill.FEW_STEPS)
        state = {key: value.detach().cpu().contiguous().clone() for key, value in stage.network.state_dict().items()}
        save_file(state, str(self.folder / name / "weights.safetensors"), metadata=facts)

    def _stage(self, name: str) -> loop.Stage:
        if name == "classifier":
            return classifier.ClassifierStage(self.examples("everything"), self.examples("held_out"), self.vocabulary)
        bundle = self.bundle()
        if name in ("vae", "thin"):
            train = [(self.examples("train"), 1 - NAMELESS_SHARE), (self.examples("nameless"), NAMELESS_SHARE)]
            test = self.examples("held_out")
            if name == "thin":
                return vae.AutoencoderStage(bundle.vae, train, test, teacher=self._base_vae())
            return vae.AutoencoderStage(bundle.vae, train, test)
        encoded, side = latents.load_latents(self._latents), self._edition.native_size
        if name == "decoder":
            drawn_again, test = self._drawn_again(bundle), self.examples("held_out")
            return sharpening.SharpeningStage(bundle.vae, self._encoded_sets(), encoded, test, drawn_again)
        if name == "unet":
            tokenizer = self._tokenizer()
            encoders = self._encoders(bundle, tokenizer)
            noise, inner = bundle.scheduler_config, self._edition.inner_rate
            known = read_edition(self._card).known.things
            new = {name for name, thing in self.vocabulary.things.items() if known.get(name) != thing}
            return unet.UNetStage(
                *(bundle.unet, encoders, tokenizer, encoded, bundle.vae),
                side=side,
                inner_rate=inner,
                often=[with_article(name) for name in sorted(new | {*self._edition.practised})],
                schedule=noise,
            )
        pair = _transparency(bundle)
        if name == "transparency":
            return transparency.TransparencyStage(*pair, bundle.vae, self._encoded_sets(), encoded)
        if name == "alpha":
            drawn_again = self._drawn_again(bundle, foregrounds=True)
            return alpha.AlphaStage(*pair, bundle.vae, self._encoded_sets(), encoded, drawn_again)
        words, noise = (bundle.text_encoders, bundle.tokenizers[0]), {"schedule": bundle.scheduler_config}
        if name == "distill":
            foregrounds = self._transparent(bundle, encoded)
            begun = self._few_steps()
            known = None if begun is None else load_file(str(begun))
            base = read_manifest(self._card).few_step_adapter
            if base is not None:
                noise["grown"] = load_file(str(located(base.lora.file, self._card.name)))
            return distill.DistillStage(
                bundle.unet, *words, encoded, bundle.vae, side=side, transparent=foregrounds, begun=known, **noise
            )
        base, sets = load_file(str(self._known_deltas())), self._encoded_sets()
        return deltas.DeltasStage(bundle.unet, *words, pair, bundle.vae, sets, encoded, side=side, base=base, **noise)

    def _base_vae(self) -> AutoencoderKL:
        """The VAE of the model that the edition is made from."""
        made: Any = load_model(read_manifest(self._card)).vae
        return made.to(self._device)

    def _drawn_again(self, bundle: ModelBundle, *, foregrounds: bool = False) -> DrawnAgain:
        """What draws pictures again as the model does; with the deltas if they are foregrounds.

        Raises:
            InvalidRequest: the deltas are wanted and not trained yet.
        """
        trained, adapter = self._trained_deltas(bundle.unet) if foregrounds else None, self._few_steps()
        if foregrounds and trained is None:
            raise InvalidRequest("The foreground deltas are not trained yet.", "Run the stage “deltas” first.")
        return DrawnAgain(
            bundle.unet,
            bundle.text_encoders,
            bundle.tokenizers[0],
            bundle.scheduler_config,
            self._edition.native_size,
            adapter=None if adapter is None else load_file(str(adapter)),
            deltas=trained,
        )

    def _transparent(self, bundle: ModelBundle, encoded: latents.Latents) -> distill.Transparent | None:
        """What foregrounds are distilled with, if the stages before are done."""
        trained = self._trained_deltas(bundle.unet)
        if trained is None:
            return None
        found, captions = deltas.with_transparency(_transparency(bundle)[0], self._encoded_sets(), encoded)
        return distill.Transparent(trained.requires_grad_(False), found, captions)

    def _known_deltas(self) -> Path:
        """The deltas to go on from: the edition's, or those of the model it is made from."""
        if self._edition.deltas is not None:
            return self._edition.deltas
        spec = read_manifest(self._card)
        return located(spec.transparency.deltas, spec.name)

    def _trained_deltas(self, unet: UNet2DConditionModel) -> nn.ModuleDict | None:
        """The deltas for this UNet; None if they are not trained yet. With the base's UNet, the base's deltas are."""
        state = self._left("deltas")
        if state is None and (self._edition.deltas is not None or not self._has_own_unet):
            return deltas.begun_deltas(unet, load_file(str(self._known_deltas()))).to(self._device)
        if state is None:
            return None
        made = deltas.fresh_deltas(unet).to(self._device)
        made.load_state_dict(state)
        return made

    def _few_steps(self) -> Path | None:
        """The file of the adapter for few steps, the base's with the base's UNet; None if it is not trained yet."""
        if self._left("distill") is not None:
            return self.folder / "distill" / distill.FEW_STEPS
        spec = read_manifest(self._card)
        if self._edition.few_steps is None and not self._has_own_unet and spec.few_step_adapter is not None:
            return located(spec.few_step_adapter.lora.file, spec.name)
        return self._edition.few_steps

    @property
    def _has_own_unet(self) -> bool:
        return self._edition.unet is not None or self._left("unet") is not None

    def _tokenizer(self) -> CLIPTokenizer:
        return make_tokenizer(self.folder / "tokenizer", self.vocabulary)

    def _encoders(self, bundle: ModelBundle, tokenizer: CLIPTokenizer) -> tuple[nn.Module, nn.Module]:
        """The text encoders for these word pieces."""
        pairs = zip(bundle.text_encoders, bundle.tokenizers, strict=True)
        first, second = (with_pieces_of(encoder, old, tokenizer).to(self._device) for encoder, old in pairs)
        return first.eval(), second.eval()

    def _encoded_sets(self) -> dict[str, dataset.Examples]:
        return {name: self.examples(name) for name in dict.fromkeys(kind.set for kind in latents.KINDS.values())}

    @property
    def _latents(self) -> Path:
        return self.folder / "latents.safetensors"

    def examples(self, name: str) -> dataset.Examples:
        return dataset.load(self.folder / "data" / name)

    def _left(self, stage: str) -> dict[str, Tensor] | None:
        """What a finished stage has left; None if it has not finished."""
        file = self.folder / stage / "weights.safetensors"
        if not file.exists():
            return None
        with safe_open(str(file), framework="pt", device=str(self._device)) as opened:
            return {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118 (not a mapping)

    def _facts(self, stage: str) -> dict[str, str]:
        with safe_open(str(self.folder / stage / "weights.safetensors"), framework="pt") as opened:
            return opened.metadata()


def _transparency(bundle: ModelBundle) -> tuple[CompactTransparentEncoder, CompactTransparentDecoder]:
    """The embedded model's own networks, which are of the compact kind."""
    return cast(tuple[CompactTransparentEncoder, CompactTransparentDecoder], (bundle.encoder, bundle.decoder))
