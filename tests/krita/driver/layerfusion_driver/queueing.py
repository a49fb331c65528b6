"""A scenario of an artist who presses again while a picture is drawn, in two documents."""

from .documents import close, new_document, tree
from .hands import (
    busy,
    docker_texts,
    patiently,
    pause,
    photograph,
    press,
    press_in_queue,
    queue,
    set_steps,
    type_into,
    wait_for_step,
    wait_until,
)
from .processes import slowed_down

SMALL = (128, 128)


def texts():
    return [text for text, _ in queue()]


def titles():
    return [text.split("\n")[0] for text in texts()]


def press_again_and_again(folder):
    """One press in a document, three in another one; the last goes first, the second is cancelled."""
    first = yield from new_document("One", SMALL)
    set_steps(50)
    with slowed_down():
        press("Generate")
        yield from wait_for_step()
        second = yield from new_document("Two", SMALL)
        set_steps(2)
        for background in ("a beach at sunset", "a forest", "the moon at night"):
            type_into("in the background;", background)
            press("Generate")
        yield from wait_until(lambda: len(queue()) == 3)
        yield from wait_until(lambda: all("Waiting for" in text for text in texts()))
        facts = {"waiting": texts(), "words": docker_texts()}
        yield from photograph(folder / "queue.png")
        beach, forest, moon = titles()
        press_in_queue(2, "Draw this picture earlier")
        yield from patiently(lambda: titles() == [beach, moon, forest])
        press_in_queue(1, "Draw this picture earlier")
        yield from patiently(lambda: titles() == [moon, beach, forest])
        facts["moved"] = texts()
        press_in_queue(2, "Do not draw this picture")
        yield from patiently(lambda: len(queue()) == 2)
        facts |= {"cancelled": texts(), "still drawing": busy()}
    yield from wait_until(lambda: not busy())
    yield from pause(0.4)
    facts |= {"one": tree(first), "two": tree(second), "rows after": texts()}
    yield from close(second)
    yield from close(first)
    return facts


ALL = [press_again_and_again]
