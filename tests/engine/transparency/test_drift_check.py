import numpy as np

from layerfusion.engine.transparency.drift_check import drift_notice


def drawn(box, *, backdrop=128, alpha=255):
    """A red box before a backdrop, as decoded by the transparent decoder and by the VAE."""
    foreground, before = np.zeros((64, 96, 4), np.uint8), np.full((64, 96, 4), 255, np.uint8)
    before[..., :3] = backdrop
    top, left, bottom, right = box
    foreground[top:bottom, left:right] = (200, 20, 20, alpha)
    before[top:bottom, left:right, :3] = (200, 20, 20)
    return foreground, before


def test_a_foreground_without_transparency_is_noticed(subtests):
    for picture, words in [
        (drawn((16, 20, 50, 70)), ""),
        (drawn((16, 20, 64, 70)), ""),  # it may stand on the lower border
        (drawn((0, 0, 64, 96)), "fills the whole image"),
        (drawn((0, 0, 60, 80)), "covers the image's border"),
        (drawn((16, 20, 50, 70), backdrop=250), "not drawn before a plain grey backdrop"),
        (drawn((16, 20, 50, 70), backdrop=40), "not drawn before a plain grey backdrop"),
        (drawn((16, 20, 50, 70), backdrop=140), ""),
        (drawn((0, 0, 0, 0)), ""),
    ]:
        with subtests.test(picture=picture, words=words):
            notice = drift_notice(*picture)
            assert (notice is not None) == bool(words)
            if notice is not None:
                assert notice.code == "checkpoint_drifted"
                assert words in notice.text
                assert "checkpoint" in notice.text
