"""The tables of translations are complete, and no text that the artist reads is left out of them."""

import ast
import configparser
import json
import re
import string
from collections import Counter
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from xml.etree import ElementTree

import pytest

from layerfusion.krita_plugin import package

SOURCES = Path(str(resources.files("layerfusion.krita_plugin")))
LANGUAGES = ("de", "ja", "zh_CN")
FUNCTIONS = {"tr": slice(0, 1), "mark": slice(0, 1), "plural": slice(1, 3)}
"""Name of a function of `translation` -> which of its arguments are texts."""

SHOWN = {
    *("QLabel", "QCheckBox", "QPushButton", "QGroupBox", "setText", "setToolTip", "setAccessibleName", "addAction"),
    *(
        "setPlaceholderText",
        "setSpecialValueText",
        "addItem",
        "push_button",
        "tool",
        "arrow_button",
        "labelled",
        "Fold",
    ),
    *("setWindowTitle", "PromptField", "warn", "say", "note", "Refusal", "Remedy", "show_server", "show_first"),
}
"""Functions whose texts the artist reads, even if they are single words."""

SAME = {
    "de": {"Live", "Paper", "Prompt: {prompt}", "Seed", "auto", "auto ({steps})", "LoRAs"}
    | {"Name", "Sampler", "Server", "Token"}
    | {"{minutes} min {seconds:02} s", "{seconds} s"},
    "ja": set(),
    "zh_CN": set(),
}
"""Texts that are the same in English."""

PROSE = re.compile("[A-Za-z]{2,}[,;:.]? [A-Za-z]")


def parsed():
    for path in sorted((SOURCES / "layerfusion").glob("*.py")):
        yield path.name, ast.parse(path.read_text("utf-8"))


def name_of(function):
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def calls(tree):
    """The calls of the functions of `translation`: (call, its literal texts)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
            texts = node.args[FUNCTIONS[node.func.id]]
            yield node, [text for text in texts if isinstance(text, ast.Constant)]


def texts():
    return {text.value for _, tree in parsed() for _, found in calls(tree) for text in found}


def table(language):
    return json.loads((SOURCES / "layerfusion/translations" / f"{language}.json").read_text("utf-8"))


def fields(text):
    """The names in braces, each with its format."""
    return {(name, form) for _, name, form, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_text_of_the_plugin_has_a_translation_and_nothing_else_has_one(language):
    assert len(texts()) > 200
    assert set(table(language)) == texts()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_table_is_sorted_with_one_entry_on_each_line(language):
    written = (SOURCES / "layerfusion/translations" / f"{language}.json").read_text("utf-8")
    entries = dict(sorted(table(language).items()))
    assert written == json.dumps(entries, ensure_ascii=False, indent=2) + "\n"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_placeholders_and_the_end_of_its_text(language):
    for text, translation in table(language).items():
        assert fields(text) == fields(translation), text
        assert translation == translation.strip() != "", text
        assert text.endswith(".") == translation.endswith((".", "。")), text
        assert (text == translation) == (text in SAME[language]), text


def test_each_call_gives_the_values_that_its_text_names():
    for module, tree in parsed():
        for call, found in calls(tree):
            given = {keyword.arg for keyword in call.keywords}
            given |= {"number"} if name_of(call.func) == "plural" else set()
            for text in found:
                if name_of(call.func) != "mark":
                    assert {name for name, _ in fields(text.value)} == given, f"{module}: {text.value}"


def untranslated(tree):
    """Texts in a module that look as if the artist could read them, but are in no call of `translation`."""
    skipped = {id(text) for _, found in calls(tree) for text in found}
    for node in ast.walk(tree):
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_for_the_log = isinstance(node, ast.Call) and ast.unparse(node.func).startswith("logger.")
        is_our_mistake = isinstance(node, ast.Call) and name_of(node.func) in ("ValueError", "KeyError", "field_error")
        if is_docstring or is_for_the_log or is_our_mistake:
            skipped |= {id(inner) for inner in ast.walk(node)}
        if isinstance(node, ast.Call) and name_of(node.func) in SHOWN:
            direct = [value for argument in node.args for value in parts(argument)]
            yield from (v.value for v in direct if id(v) not in skipped and re.search("[A-Za-z]{3}", str(v.value)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield from [node.value] if PROSE.search(node.value) and node.value[:1] != "<" else []


def parts(argument):
    """The literal texts of an argument, or those from which it is put together or chosen."""
    if isinstance(argument, ast.Constant):
        return [argument] if isinstance(argument.value, str) else []
    if isinstance(argument, (ast.JoinedStr, ast.IfExp, ast.BinOp)):
        return [part for inner in ast.iter_child_nodes(argument) for part in parts(inner)]
    return []


def test_no_text_that_the_artist_reads_is_left_untranslated():
    left = {(module, text) for module, tree in parsed() for text in untranslated(tree)}
    assert left == set()


@pytest.mark.parametrize(
    "source",
    [
        'view.warn("Bad")',
        'view.warn(f"{name} failed")',
        'button.setText("Again" if again else "")',
        'WORDS = {"a": "two words"}',
        'label = f"{number} more words"',
    ],
)
def test_a_text_that_is_left_untranslated_would_be_found(source):
    assert list(untranslated(ast.parse(source)))


def test_the_actions_that_krita_lists_have_translations():
    actions = ElementTree.parse(SOURCES / package.ACTION).iter("Action")
    named = {(action.findtext("text") or "").removeprefix("LayerFusion: ") for action in actions}
    assert len(named) > 10
    assert named <= texts()


def test_the_plugin_manager_describes_the_plugin_in_each_language():
    described = configparser.ConfigParser(interpolation=None)
    described.optionxform = str
    described.read(SOURCES / package.DESKTOP, "utf-8")
    comments = {key: value for key, value in described["Desktop Entry"].items() if key.startswith("Comment")}
    assert set(comments) == {"Comment", *(f"Comment[{language}]" for language in LANGUAGES)}
    assert len(set(comments.values())) == 4


class Outline(HTMLParser):
    """The elements of a page, and the texts of those that name something in the docker."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.named, self._inside = [], [], ""
        self.feed((SOURCES / "layerfusion" / page).read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self._inside = tag
        if tag in ("b", "h2"):
            self.named.append("")

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside in ("b", "h2"):
            self.named[-1] += " ".join(data.split())


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_manual_says_the_same_in_each_language_and_calls_things_by_their_names(language):
    described = (SOURCES / package.DESKTOP).read_text("utf-8")
    assert f"X-Krita-Manual[{language}]=manual.{language}.html\n" in described
    english, translated = Outline("manual.html"), Outline(f"manual.{language}.html")
    skeleton = [tag for tag in english.elements if tag not in ("b", "i")]  # the order of words differs
    assert [tag for tag in translated.elements if tag not in ("b", "i")] == skeleton
    names = table(language)
    in_the_docker = Counter(names[name] for name in english.named if name in names)
    assert in_the_docker.total() > 30
    assert not in_the_docker - Counter(translated.named)


# ---- the functions ---------------------------------------------------------------------------------------------------


@pytest.fixture
def translation(plugin):
    from krita_layerfusion import translation

    yield translation
    translation.use("en")


def test_a_text_is_shown_in_the_language_that_was_chosen(translation):
    assert translation.tr("The layer “{layer}” is hidden.", layer="{x}") == "The layer “{x}” is hidden."
    translation.use("de")
    assert translation.tr("The layer “{layer}” is hidden.", layer="{x}") == "Die Ebene „{x}“ ist ausgeblendet."
    assert translation.tr("A text of a later version") == "A text of a later version"
    with pytest.raises(ValueError, match="tlh"):
        translation.use("tlh")


def test_a_number_has_the_plural_of_the_language(translation):
    def waiting(number):
        return translation.plural(number, "Waiting for {number} other job", "Waiting for {number} other jobs")

    assert (waiting(1), waiting(2)) == ("Waiting for 1 other job", "Waiting for 2 other jobs")
    translation.use("de")
    assert (waiting(1), waiting(2)) == ("Wartet auf 1 anderen Auftrag", "Wartet auf 2 andere Aufträge")
    translation.use("ja")
    assert waiting(1).replace("1", "2") == waiting(2)


def test_sentences_are_joined_as_their_language_does(translation):
    assert translation.joined(["One.", "", "Two."]) == "One. Two."
    assert translation.joined(["一つ。", "二つ。"]) == "一つ。二つ。"
    assert translation.joined([]) == ""


@pytest.mark.parametrize(
    ("preferred", "language"),
    [
        (("de-AT", "en-US"), "de"),
        (("de_DE",), "de"),
        (("fr-FR", "ja-JP"), "ja"),
        (("zh-Hans-CN",), "zh_CN"),
        (("zh_CN",), "zh_CN"),
        (("zh",), "zh_CN"),
        (("zh-Hant-TW", "zh-TW"), "en"),
        (("en-GB", "de"), "en"),
        (("pt-BR",), "en"),
        (("C",), "en"),
        ((), "en"),
    ],
)
def test_the_language_is_the_first_of_those_preferred_that_has_a_table(translation, preferred, language):
    assert translation.best(preferred) == language


# ---- names of layers -------------------------------------------------------------------------------------------------


@pytest.fixture
def layer_names(translation):
    from krita_layerfusion import layer_names

    return layer_names


@pytest.mark.parametrize(
    ("name", "german"),
    [
        ("Foreground", "Vordergrund"),
        ("Foreground 2", "Vordergrund 2"),
        ("Background, filled in", "Hintergrund, ergänzt"),
        ("Shadow (exact, this arrangement)", "Schatten (exakt, nur diese Anordnung)"),
        ("My cat (relit)", "My cat (neu beleuchtet)"),
        ("Foreground (relit)", "Vordergrund (neu beleuchtet)"),
        ("Background music", "Background music"),
        ("2", "2"),
        ("", ""),
    ],
)
def test_drawn_layers_are_named_in_the_artists_language(layer_names, translation, name, german):
    assert layer_names.translated(name) == name
    translation.use("de")
    assert layer_names.translated(name) == german


def test_roles_are_recognised_by_names_in_every_language(layer_names):
    roles = layer_names.roles()
    for name in ("Foreground", "Vordergrund", "前景"):
        assert roles[name] == "foreground"
    assert roles["影"] == roles["阴影"] == roles["Schatten"] == "shadow"
    assert len(set(roles.values())) == 5


@pytest.mark.parametrize(
    "duplicate",
    ["前景", "Copy of 前景", "Kopie von Copy of 前景", "前景 的副本", "前景 的副本 的副本", "前景のコピーのコピー"],
)
def test_a_duplicate_is_recognised_in_the_words_of_any_krita(layer_names, duplicate):
    assert layer_names.is_named(duplicate, "前景")
    assert not layer_names.is_named(duplicate, "背景")
    assert not layer_names.is_named(duplicate, "")
