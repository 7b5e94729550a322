"""Sphinx: MyST pages, the Furo theme; examples marked `pycon` are run by the doctest builder."""

from docutils import nodes

import fallline

project = "fallline"
author = "The fallline developers"
version = release = fallline.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.doctest", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "fallline"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
autodoc_typehints = "none"  # the docstrings say more than the annotations
napoleon_google_docstring = False
napoleon_use_rtype = False


def _run_examples(app, document):
    for block in document.findall(nodes.literal_block):
        if block.get("language") == "pycon":
            block["testnodetype"] = "doctest"


def setup(app):
    app.connect("doctree-read", _run_examples)
