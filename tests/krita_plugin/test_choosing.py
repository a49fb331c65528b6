"""Which layers the docker shows as those that the next button works on."""

from controller_harness import finish, generate, greeting, kept_layer, params


def choice(**layers):
    from krita_layerfusion.jobs import Choice

    return Choice(**layers)


def test_the_layers_are_shown_when_another_one_becomes_active(harness):
    harness.controller.choosing.look()
    assert harness.view.picks == ("{paper}", choice())
    harness.view.picks = None
    harness.controller.choosing.look()
    assert harness.view.picks is None, "nothing has changed"
    harness.controller.choosing.look(anew=True)
    assert harness.view.picks is not None
    harness.document.active = "{sketch}"
    harness.controller.choosing.look()
    assert harness.view.picks == ("{sketch}", choice())


def test_without_a_document_none_is_shown(harness):
    harness.controller.choosing.look(anew=True)
    harness.documents.open = False
    harness.controller.choosing.look()
    assert (harness.view.picks.foreground, harness.view.picks.background) == (None, None)
    assert harness.controller.choosing.candidates("foreground") == []
    harness.controller.choosing.choose("foreground", "{cat}")


def test_a_chosen_layer_is_worked_on_until_a_result_arrives(online, wire):
    choosing = online.controller.choosing
    choosing.choose("foreground", "{cat}")
    choosing.choose("background", "{lake}")
    assert online.view.picks == ("{paper}", choice(foreground="{cat}", background="{lake}"))
    online.document.keep = kept_layer()
    online.controller.new_background(params())
    assert online.document.choice == choice(foreground="{cat}", background="{lake}")
    choosing.choose("background", None)
    assert choosing.of(online.document) == choice(foreground="{cat}")
    submit = generate(online)
    finish(online, wire, submit.job)
    assert choosing.of(online.document) == choice()


def test_a_docker_of_a_new_window_shows_what_the_others_show(plugin, wire):
    from krita_layerfusion.views import Views

    from controller_harness import FakeView

    views, first, second = Views(), FakeView(), FakeView()
    views.attach(first)
    views.show_server(greeting(wire).welcome, "Ready")
    views.show_job("Drawing", 1, 4)
    views.note("A demo model draws it.")
    views.attach(second)
    assert (second.online, second.busy, second.job, second.notes) == (True, True, "Drawing", first.notes)
    views.detach(first)
    views.show_idle()
    assert first.busy, "its window was closed, and Qt has deleted it"
    assert not second.busy
