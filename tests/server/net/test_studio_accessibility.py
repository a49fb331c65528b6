"""No view of the studio has a serious finding of axe-core, in light and dark, on a screen and on a phone."""

import pytest

import chromium
import studio_page
from studio_page import SIDE, drawn, generate, one, press, spoken, text_of, until
from studio_texts import STUDIO

AXE = STUDIO / "node_modules" / "axe-core" / "axe.min.js"
pytestmark = [
    pytest.mark.timeout(300),
    chromium.NEEDED,
    pytest.mark.skipif(not AXE.exists(), reason="axe-core, which `make studio` installs, is missing"),
]

RUN = """
const done = arguments[0];
axe.run(document).then(({passes, violations}) => done(passes.length < 10 ? ["it did not look"] : violations
  .filter(({impact}) => impact === "serious" || impact === "critical")
  .map(({id, nodes}) => `${id}: ${nodes.map(({html, failureSummary}) => html + failureSummary).join(" ")}`)));
"""


@pytest.fixture(scope="module")
def chrome(tmp_path_factory):
    with chromium.opened(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(params=["light", "dark"])
def driver(chrome, server, request):
    theme = [
        {"name": "prefers-color-scheme", "value": request.param},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": theme})
    screen(chrome, 1400, 900)
    return studio_page.opened(chrome, server)


def screen(driver, width, height):
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def findings(driver):
    if not driver.execute_script("return 'axe' in window"):
        driver.execute_script(AXE.read_text("utf-8"))
    return driver.execute_async_script(RUN)


def test_every_view_is_accessible(driver, server, gate, subtests):
    def check(view):
        with subtests.test(view):
            assert findings(driver) == []

    check("nothing drawn yet")
    job = drawn(server, blended_prompt="maps=3 layers=4 modes notices=1", seed=1, masks=True)
    drawn(server, blended_prompt=f"layers=1 side={SIDE}", seed=2)
    driver.refresh()
    press(driver, f"[data-job='{job.job}'] .open")
    spoken(driver, "finished")
    press(driver, "#side-masks summary")
    check("a picture with its layers and masks")
    for view, opens, closes in [
        ("naming", "#history .rename", "#naming-no"),
        ("deleting", "#history .delete", "#delete-no"),
        ("comparing", "#history li:first-child .compare", "#compare-close"),
    ]:
        press(driver, opens)
        check(view)
        press(driver, closes)
    studio_page.fill(driver, "count", "2")
    generate(driver, gate.word)
    until(lambda: "step" in text_of(driver, "#queue li small"))
    check("drawing, with a queue and variants")
    screen(driver, 390, 844)
    check("on a phone")
    for _ in range(2):
        count = len(driver.find_elements("css selector", "#queue li"))
        press(driver, "#queue [aria-label^='Cancel']")
        until(lambda count=count: len(driver.find_elements("css selector", "#queue li")) < count)
    studio_page.fill(driver, "count", "1")
    generate(driver, "huge")
    until(lambda: "does not fit" in text_of(driver, "#problems"))
    check("a problem")
    one(driver, "#signout").click()
    until(lambda: one(driver, "#code").is_displayed())
    check("signed out")
