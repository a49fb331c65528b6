"""Weights, chunks, LoRAs and textual inversions of prompts, on the embedded model's encoders."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from layerfusion.engine.backbones.sdxl import SDXLBackbone
from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.fusion.priors import content_confidence
from layerfusion.engine.models.catalog.network_files import find_network
from layerfusion.engine.models.runtime.prompt_chunks import MAX_CHUNKS, chunked
from layerfusion.engine.prompt_syntax import literal, parse

LINEAR = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.inference_mode():
        yield


@pytest.fixture
def several(bundle, tmp_path):
    """The embedded model, allowed to read prompts in chunks; it looks for LoRAs in a folder of the test."""
    return replace(bundle, spec=replace(bundle.spec, demo=False))


@pytest.fixture
def folder(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle.networks, "_folders", (tmp_path,))
    bundle.networks.prepare([])  # an earlier test may have drawn with the few-step adapter
    yield tmp_path
    bundle.networks.prepare([])


def encode(bundle, *prompts):
    return SDXLBackbone(bundle).encode([parse(prompt) for prompt in prompts])


def bundle_without(bundle, prompt):
    """A prompt's encoding without any textual inversion."""
    kept, bundle.networks.embeddings = bundle.networks.embeddings, {}
    try:
        return encode(bundle, prompt).embeddings
    finally:
        bundle.networks.embeddings = kept


class TestWeights:
    def test_brackets_without_effect_change_nothing(self, bundle):
        plain, bracketed = encode(bundle, "a red apple"), encode(bundle, "a (red:1.0) apple")
        assert torch.equal(plain.embeddings, bracketed.embeddings)

    @pytest.mark.parametrize("weight", [0.0, 0.5, 1.4, -0.5])
    def test_a_weight_moves_a_token_along_the_line_from_the_empty_prompt(self, bundle, weight):
        """The formula of ComfyUI, and of compel (compared with version 2.5.1) for weights of 1 and more."""
        plain, empty, weighted = encode(bundle, "a red apple", "", f"a (red:{weight}) apple").embeddings
        expected = plain.clone()
        expected[2] = empty[2] + weight * (plain[2] - empty[2])
        torch.testing.assert_close(weighted, expected, atol=1e-5, rtol=1e-5)

    def test_the_pooled_encoding_has_no_weights(self, bundle):
        assert torch.equal(*encode(bundle, "a red apple", "a (red:1.4) apple").pooled)


class TestChunks:
    def test_a_long_prompt_goes_on_in_further_chunks(self, several):
        length = several.tokenizers[0].model_max_length
        words = ["apple"] * (length - 2) + ["dog", "cat"]
        whole = encode(several, " ".join(words))
        first, second = encode(several, " ".join(words[: length - 2]), "dog cat").embeddings
        assert torch.equal(whole.embeddings[0], torch.cat([first, second]))
        torch.testing.assert_close(whole.pooled[0], encode(several, " ".join(words[: length - 2])).pooled[0])
        assert whole.end_of_text.tolist() == [[length - 1, length + 3]]
        assert SDXLBackbone(several).truncated([" ".join(words)]) == ()

    def test_break_begins_a_chunk(self, several):
        first, second = encode(several, "a red apple", "a dog").embeddings
        assert torch.equal(encode(several, "a red apple BREAK a dog").embeddings[0], torch.cat([first, second]))

    def test_a_chunk_ends_at_the_last_comma_near_its_end(self, several):
        tokenizer = several.tokenizers[0]
        room = tokenizer.model_max_length - 2
        prompt = " ".join(["apple"] * (room - 2)) + ", dog cat"
        first, second = chunked(literal(prompt), tokenizer, {}, 4).chunks
        assert (len(first), len(second)) == (room - 1, 2)

    def test_too_many_chunks_are_cut_and_said(self, several, bundle):
        length = several.tokenizers[0].model_max_length
        prompt = "apple " * (length * (MAX_CHUNKS + 1))
        assert encode(several, prompt).embeddings.shape[1] == length * MAX_CHUNKS
        assert SDXLBackbone(several).truncated([prompt]) == (prompt.strip(),)
        assert encode(bundle, prompt).embeddings.shape[1] == length, "the embedded model reads one chunk"

    def test_prompts_of_other_lengths_are_repeated_which_changes_nothing(self, several):
        length = several.tokenizers[0].model_max_length
        long, short = "a red apple BREAK a dog", "a cat"
        together = encode(several, long, short)
        assert torch.equal(together.embeddings[1], encode(several, short).embeddings[0].repeat(2, 1))
        assert together.end_of_text.tolist() == [[4, length + 3], [3, length + 3]]
        query, key = torch.randn(1, 2, 5, 8), torch.randn(1, 2, length, 8)
        value = torch.randn(1, 2, length, 8)
        attend = torch.nn.functional.scaled_dot_product_attention
        torch.testing.assert_close(
            attend(query, key.repeat(1, 1, 2, 1), value.repeat(1, 1, 2, 1)), attend(query, key, value)
        )
        for counted in ("first", "with_padding", "last_word"):
            torch.testing.assert_close(
                content_confidence(
                    query, key.repeat(1, 1, 2, 1), torch.tensor([[3, length + 3]]), scale=0.3, counted=counted
                ),
                content_confidence(query, key, torch.tensor([3]), scale=0.3, counted=counted),
            )

    def test_halves_of_other_lengths_fit_together(self, several):
        one, two, three = encode(several, "a"), encode(several, "a BREAK b"), encode(several, "a BREAK b BREAK c")
        length = several.tokenizers[0].model_max_length
        for upper, lower, chunks in ((one, one, 1), (one, two, 2), (two, three, 6)):
            both = upper + lower
            assert both.embeddings.shape[:2] == (2, chunks * length)
            assert both.end_of_text.shape == ((2,) if chunks == 1 else (2, chunks))
        assert torch.equal((two + one)[[0]].embeddings, two.embeddings)


class TestNetworks:
    def save_lora(self, bundle, file, factor=1.0):
        shape = bundle.unet.get_parameter(f"{LINEAR}.weight").shape
        up, down = torch.full((shape[0], 1), 0.01 * factor), torch.ones(1, shape[1])
        save_file({f"unet.{LINEAR}.lora_B.weight": up, f"unet.{LINEAR}.lora_A.weight": down}, file)

    def test_a_lora_of_a_prompt_acts_and_is_taken_back(self, bundle, folder):
        before = bundle.unet.get_parameter(f"{LINEAR}.weight").clone()
        (folder / "style").mkdir()
        self.save_lora(bundle, folder / "style" / "Ink Wash.safetensors")
        assert bundle.networks.prepare([parse("a cat <lora:Ink Wash:0.5>"), parse("a dog")]) == []
        torch.testing.assert_close(bundle.unet.get_parameter(f"{LINEAR}.weight"), before + 0.005)
        bundle.networks.prepare([parse("<lora:style/ink wash:1>")])
        torch.testing.assert_close(bundle.unet.get_parameter(f"{LINEAR}.weight"), before + 0.01)
        bundle.networks.prepare([parse("a cat")])
        assert torch.equal(bundle.unet.get_parameter(f"{LINEAR}.weight"), before)

    def test_what_cannot_be_used_is_said(self, bundle, folder):
        save_file(
            {"transformer.single_transformer_blocks.0.x.lora_A.weight": torch.ones(1, 1)}, folder / "f.safetensors"
        )
        save_file({"emb_params": torch.ones(2, 768)}, folder / "old.safetensors")
        prompt = "a cat <lora:missing:1> <lora:f:1> <hypernet:h:1> embedding:nowhere, embedding:old"
        notices = bundle.networks.prepare([parse(prompt)])
        assert {notice.code for notice in notices} == {"prompt_part_ignored"}
        said = " ".join(notice.text for notice in notices)
        for words in ("no LoRA “missing”", "LoRA for Flux", "<hypernet:h:1>", "“nowhere”", "Stable Diffusion 1"):
            assert words in said

    def test_one_lora_has_one_strength(self, bundle, folder):
        with pytest.raises(InvalidRequest, match=r"“x” has the strengths 1 and 0\.5"):
            bundle.networks.prepare([parse("<lora:x:1>"), parse("<lora:x:0.5>")])

    def test_a_textual_inversion_stands_for_its_vectors(self, bundle, folder):
        tables = [encoder.get_input_embeddings().weight for encoder in bundle.text_encoders]
        (word,) = bundle.tokenizers[0]("apple", add_special_tokens=False).input_ids
        save_file(
            {name: table[[word, word]].clone() for name, table in zip(("clip_l", "clip_g"), tables, strict=True)},
            folder / "my-apple.safetensors",
        )
        assert bundle.networks.prepare([parse("a red embedding:my-apple")]) == []
        read, spelt = encode(bundle, "a red embedding:my-apple", "a red apple apple").embeddings
        assert torch.equal(read, spelt)
        left_out = encode(bundle, "a red embedding:other", "a red").embeddings
        assert torch.equal(*left_out)

    def save_inversion(self, bundle, file, prefix=""):
        """A textual inversion that means “apple apple”."""
        tables = [encoder.get_input_embeddings().weight for encoder in bundle.text_encoders]
        (word,) = bundle.tokenizers[0]("apple", add_special_tokens=False).input_ids
        file.parent.mkdir(exist_ok=True)
        names = (f"{prefix}clip_l", f"{prefix}clip_g")
        return {name: table[[word, word]].clone() for name, table in zip(names, tables, strict=True)}

    @pytest.mark.parametrize("weight", ["", ":1.4"])
    def test_the_bare_name_of_a_textual_inversion_stands_for_it(self, bundle, folder, monkeypatch, weight):
        file = folder / "embeddings" / "Two Apples-v2.safetensors"
        save_file(self.save_inversion(bundle, file), file)
        monkeypatch.setattr(bundle.networks, "_folders", (folder / "embeddings",))
        prompt = f"a (red two apples-V2{weight})"
        assert bundle.networks.prepare([parse(prompt), parse("x two apples-v23")]) == []
        read, spelt = encode(bundle, prompt, f"a (red apple apple{weight})").embeddings
        assert torch.equal(read, spelt)
        for other in ("two apples-v23", "my-two apples-v2"):
            assert torch.equal(encode(bundle, other).embeddings, bundle_without(bundle, other))
        assert torch.equal(
            SDXLBackbone(bundle).encode([literal("two apples-v2")]).embeddings,
            bundle_without(bundle, "two apples-v2"),
        )

    def test_an_inversion_for_another_model_leaves_the_words_and_says_so(self, bundle, folder, monkeypatch):
        (folder / "embeddings").mkdir()
        save_file({"emb_params": torch.ones(2, 768)}, folder / "embeddings" / "red.safetensors")
        monkeypatch.setattr(bundle.networks, "_folders", (folder / "embeddings",))
        (notice,) = bundle.networks.prepare([parse("a red apple"), parse("a RED dog")])
        assert "“red” is not used, and its name is read as words" in notice.text
        assert torch.equal(encode(bundle, "a red apple").embeddings, bundle_without(bundle, "a red apple"))

    def test_inversions_in_a_lora_are_known_by_their_names(self, bundle, folder):
        shape = bundle.unet.get_parameter(f"{LINEAR}.weight").shape
        zeros = {
            f"unet.{LINEAR}.lora_B.weight": torch.zeros(shape[0], 1),
            f"unet.{LINEAR}.lora_A.weight": torch.zeros(1, shape[1]),
        }
        inside = self.save_inversion(bundle, folder / "x", "bundle_emb.twins.")
        old = {"bundle_emb.old.string_to_param.*": torch.zeros(2, 768)}
        save_file(zeros | inside | old, folder / "style.safetensors")
        (notice,) = bundle.networks.prepare([parse("<lora:style:1> red twins")])
        assert "“old”" in notice.text and "not for SDXL" in notice.text
        read, named, spelt = encode(bundle, "red twins", "red embedding:twins", "red apple apple").embeddings
        assert torch.equal(read, spelt) and torch.equal(named, spelt)

    def test_a_name_leads_nowhere_else(self, tmp_path):
        (tmp_path / "inside").mkdir()
        (tmp_path / "secret.safetensors").write_bytes(b"")
        for name in ("../secret", str(tmp_path / "secret"), "/secret", "..", ""):
            assert find_network(name, [tmp_path / "inside"]) is None
