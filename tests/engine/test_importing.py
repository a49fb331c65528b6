import gc

import pytest

from layerfusion.engine.importing import paused_collection


def test_the_collector_is_paused_inside_the_block_and_left_as_it_was():
    with paused_collection():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ImportError), paused_collection():
        raise ImportError
    assert gc.isenabled()
    gc.disable()
    try:
        with paused_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
