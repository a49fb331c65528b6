from layerfusion.engine import formats
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.profiling.finishing import measure


def test_all_layers_are_finished_and_written(tmp_path):
    cost = measure(Size(256, 192), Size(64, 48), tmp_path / "a.psd")
    assert cost.total == cost.enlarging + cost.shadow_and_light + cost.writing > 0
    stack = formats.load(tmp_path / "a.psd")
    assert [layer.name for layer in stack] == ["Background", "Foreground", "Shadow", "Light", "Blended"]
    background, foreground, shadow, _, blended = (layer.pixels for layer in stack)
    assert background.shape == blended.shape == (192, 256, 4)
    assert 0 < (foreground[..., 3] == 255).mean() < 1
    assert shadow[..., 3].max() > 30, "the scripted shadow is found"
