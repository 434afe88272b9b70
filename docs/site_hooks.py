"""What the site has beside docs/*.md: pages of the clone's top, the notebook, and the text of
every other file that a page links to. Links lead there on the site, on GitHub to the files.

mkdocs.yml names this file; MkDocs calls `on_files` and `on_page_markdown`.
"""

import json
import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
# Files of the clone that become pages.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "docs/first_steps.ipynb": "first_steps.md",
}
SOURCES = {page: path for path, page in PAGES.items()}
LINK = re.compile(r"\]\((?!https?:|#)([^)\s#]+)")
NOT_FOUND_BY_SEARCH = "---\nsearch: {exclude: true}\n---\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what does not lie in docs/ as Markdown."""
    for path, page in PAGES.items():
        text = (ROOT / path).read_text()
        text = _notebook(text) if path.endswith(".ipynb") else text
        files.append(File.generated(config, page, content=text))
    for file in files.documentation_pages():
        for link in LINK.findall(file.content_string):
            target = _target(file.src_uri, link)
            page = _page(target)
            if page.startswith("source/") and page not in files.src_uris:
                files.append(File.generated(config, page, content=_shown(target)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Have links to files of the clone lead to their pages."""
    here = page.file.src_uri
    if here.startswith("source/"):
        return markdown

    def lead(found: re.Match[str]) -> str:
        return "](" + os.path.relpath(_page(_target(here, found[1])), Path(here).parent)

    return LINK.sub(lead, markdown)


def _target(page: str, link: str) -> str:
    """Path in the clone that a link of a page means."""
    folder = Path(SOURCES.get(page, f"docs/{page}")).parent
    return os.path.normpath(folder / link)


def _page(target: str) -> str:
    """Path on the site of a file or folder of the clone."""
    if target in PAGES:
        return PAGES[target]
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    return f"source/{target}.md"


def _shown(target: str) -> str:
    """A page with the text of a file, or with the names in a folder."""
    path = ROOT / target
    if path.is_dir():
        text = "\n".join(sorted(one.name for one in path.iterdir() if one.name[0] not in "._"))
    else:
        text = path.read_text()
    return f"{NOT_FOUND_BY_SEARCH}# {target}\n\n`````{path.suffix[1:]}\n{text}\n`````\n"


def _notebook(text: str) -> str:
    """A notebook as Markdown, without outputs."""
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    return "\n\n".join(
        f"```python\n{source}\n```" if kind == "code" else source for kind, source in cells
    )
