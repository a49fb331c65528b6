"""The pictures of a job, decoded one at a time or side by side."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from layerfusion.engine.diffusion import decoding
from layerfusion.engine.diffusion.decoding import Pictures

_SECONDS = 60


@pytest.fixture
def model(small_pipeline):
    return small_pipeline._bundle


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def latents(model, streams=4):
    return torch.randn((streams, model.latent_channels, 16, 16), generator=torch.Generator().manual_seed(0))


def all_of(pictures):
    return [*pictures.foreground(0), *pictures.foreground(1), pictures.opaque(2), pictures.opaque(3)]


@torch.inference_mode()
def test_pictures_do_not_depend_on_the_number_of_threads(model):
    before, made = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            made.append(all_of(Pictures(model, latents(model), 2, [0, 1, 2, 3])))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for others in made[1:]:
        assert all(np.array_equal(one, other) for one, other in zip(made[0], others, strict=True))


@torch.inference_mode()
def test_a_small_model_decodes_as_many_pictures_at_a_time_as_there_are_threads(model, two_threads, monkeypatch):
    meeting, running, most = threading.Barrier(2), set(), []

    def decode(_bundle, of):
        running.add(threading.get_ident())
        most.append(len(running))
        meeting.wait(_SECONDS)  # it breaks unless two are decoded at the same time
        assert torch.get_num_threads() == 1 and torch.is_inference_mode_enabled()
        meeting.wait(_SECONDS)
        running.discard(threading.get_ident())
        return np.full((1, 1, 4), len(most), np.uint8)

    monkeypatch.setattr(decoding, "decode_rgb", decode)
    given = latents(model)
    pictures = Pictures(model, given, 0, [0, 1, 2, 3])
    pictures.opaque(2)
    assert max(most) == 2 and len(most) == 4
    pictures.opaque(0)
    assert len(most) == 4


@torch.inference_mode()
def test_in_half_precision_pictures_are_decoded_one_at_a_time(model, two_threads, monkeypatch):
    threads = []
    monkeypatch.setattr(decoding, "decode_rgb", lambda *_: threads.append(threading.current_thread()))
    Pictures(replace(model, dtype=torch.float16), latents(model), 0, [0, 1]).opaque(1)
    assert threads == [threading.current_thread()]


@torch.inference_mode()
def test_with_one_thread_each_picture_is_decoded_when_it_is_asked_for(model, monkeypatch):
    asked, picture, before = [], np.zeros((1, 1, 4), np.uint8), torch.get_num_threads()

    def decode(_bundle, of):
        asked.append((of, threading.current_thread()))
        return picture

    monkeypatch.setattr(decoding, "decode_rgb", decode)
    given = latents(model)
    pictures = Pictures(model, given, 0, [0, 1])
    torch.set_num_threads(1)
    try:
        assert pictures.opaque(1) is picture and pictures.opaque(3) is picture
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(of, given[i : i + 1]) for i, (of, _) in zip((1, 3), asked, strict=True))
    assert {thread for _, thread in asked} == {threading.current_thread()}


@torch.inference_mode()
def test_a_failure_in_one_thread_ends_the_decoding(model, two_threads, monkeypatch):
    def decode(_bundle, of):
        raise ArithmeticError("no picture")

    monkeypatch.setattr(decoding, "decode_rgb", decode)
    with pytest.raises(ArithmeticError, match="no picture"):
        Pictures(model, latents(model), 0, [0, 1]).opaque(0)


def test_large_models_and_graphics_cards_decode_one_picture_at_a_time(model, two_threads, monkeypatch):
    assert model.memory.pictures_at_once == 2
    monkeypatch.setattr("layerfusion.engine.models.runtime.offloading.SMALL", 1)
    assert model.memory.pictures_at_once == 1
