"""A report of Snakemake, or the docs, in a browser without a window."""

import contextlib
import os
import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
LINKS = ".prose li a"  # of the first page
# Of a page: rows of its table, widths of its pictures, its text. None until all is loaded.
LOOK = """
const text = document.body?.innerText ?? "", pictures = [...document.images];
if (document.readyState !== "complete" || !text || pictures.some(one => !one.complete)) return null;
const rows = [...document.querySelectorAll("tbody tr")].map(one => one.innerText.trim());
return [rows, pictures.map(one => one.naturalWidth), text];
"""


@contextlib.contextmanager
def opened(address):
    """Chromium with the page of an address; the test is skipped where there is no Chromium."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("no chromium and chromedriver: apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    size = "--window-size=1500,1000"
    for argument in ("--headless=new", "--disable-dev-shm-usage", size, *sandbox):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        driver.get(address)
        yield driver
    finally:
        driver.quit()


def follow(driver, number):
    """What a link of the first page shows: rows of its table, widths of its pictures, its text.

    The driver stays in the frame of a page, if it is one.
    """
    from selenium.webdriver.support.ui import WebDriverWait

    driver.switch_to.default_content()
    driver.execute_script("app.setView({content: 'rulegraph'})")
    wait = WebDriverWait(driver, 60)
    wait.until(lambda _: driver.find_elements("css selector", LINKS))[number].click()
    place = "iframe, .p-3 > img"
    shown = wait.until(lambda _: driver.find_elements("css selector", place))[0]
    if shown.tag_name == "iframe":
        driver.switch_to.frame(shown)
        return wait.until(lambda _: driver.execute_script(LOOK))
    width = "return arguments[0].complete && arguments[0].naturalWidth"
    return [], [wait.until(lambda _: driver.execute_script(width, shown))], ""
