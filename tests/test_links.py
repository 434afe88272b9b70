"""Links and pictures of README and docs lead somewhere, on GitHub and on the site."""

import functools
import http.server
import importlib.util
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.workflow.browser import LOOK, opened

ROOT = Path(__file__).parents[1]
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = [*TOP, *sorted((ROOT / "docs").glob("*.md"))]


def anchors(page):
    """Names of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_belongs_to_an_item_of_a_list_is_indented_for_both(page):
    """GitHub takes two blanks, Python-Markdown needs four."""
    text = re.sub(r"^(```.*?^```)$", "", page.read_text(), flags=re.M | re.S)
    assert not re.findall(r"\n\n {1,3}\S.*", text)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, as it is built: a warning is an error."""
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_site_asks_no_other_host_for_anything(site):
    loaded = r"""<(?:script|img|iframe|link)\b[^>]*?\b(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)"""
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        found = set(re.findall(loaded, page.read_text()))
        assert not found, (page, found)
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", style.read_text()), style


@pytest.mark.slow
def test_links_of_the_site_lead_somewhere(site):
    """Also those that the hooks rewrite, to files that lie outside docs/."""
    for page in site.rglob("*.html"):
        if page.name == "404.html":
            continue  # is served for any address
        for link in re.findall(
            r"""<(?:a|img)\b[^>]*?\b(?:src|href)=["']?([^"'\s>]*)""", page.read_text()
        ):
            if link and not re.match(r"https?:|#|data:", link):
                path, _, anchor = link.partition("#")
                target = (page.parent / path).resolve()
                assert target.exists(), (page.name, link)
                if anchor and target.suffix == ".html":
                    assert re.search(rf'id="?{re.escape(anchor)}["\s>]', target.read_text()), (
                        page.name,
                        link,
                    )


@pytest.fixture
def served(site):
    """The address under which the site is served."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.slow
def test_pages_of_the_site_open_without_an_error(site, served):
    from selenium.webdriver.support.ui import WebDriverWait

    pages = sorted({page.relative_to(site) for page in site.rglob("*.html")} - {Path("404.html")})
    with opened(f"{served}/index.html") as driver:
        wait = WebDriverWait(driver, 60)
        for page in pages:
            driver.get(f"{served}/{page}")
            # A picture further down is loaded once it comes into view.
            driver.execute_script("for (const one of document.images) { one.loading = 'eager'; }")
            _, widths, text = wait.until(lambda _: driver.execute_script(LOOK))
            assert all(widths), page
            assert len(text) > 200, page
            said = [one for one in driver.get_log("browser") if one["level"] == "SEVERE"]
            assert not said, (page, said)
