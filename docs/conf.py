"""Sphinx: MyST pages, the Furo theme. Examples marked `pycon` or `console` are run; tables in the code become sections."""

import inspect
import re
from pkgutil import resolve_name

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

import fallline

project = "fallline"
author = "The fallline developers"
version = release = fallline.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
]
default_role = "code"
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "fallline"
html_show_copyright = False
html_math_renderer = "mathml"  # drawn by the browser itself, without a network

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
autodoc_typehints = "none"  # the docstrings say more than the annotations
napoleon_google_docstring = False
napoleon_use_rtype = False

# Each page's examples run in a folder of their own; of a command, what it prints is compared, and where it fails, the page does.
doctest_global_setup = """
import os, subprocess, sys, tempfile

_folder = tempfile.TemporaryDirectory()
os.chdir(_folder.name)

def shell(command):
    places = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    environment = {**os.environ, "PATH": places, "COLUMNS": "200"}
    done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True)
    print(done.stdout.rstrip() if done.returncode == 0 else f"exit code {done.returncode}: {done.stderr}")
"""
doctest_global_cleanup = """
os.chdir("/")
_folder.cleanup()
"""


def _write_sections(_app, _page, source):
    """Put a section for each row of a table where a page says `{sections} <the table's full name>`."""

    def sections(match):
        return "\n".join(_section(*row) for row in resolve_name(match[1]).items())

    source[0] = re.sub(r"^```\{sections\} (\S+)\n```$", sections, source[0], flags=re.MULTILINE)


def _section(name, kind):
    defaults = kind._field_defaults
    fields = [f"`{field}`" + (f" = {defaults[field]}" if field in defaults else "") for field in kind._fields]
    parameters = f"\nParameters: {', '.join(fields)}.\n" if fields else ""
    return f"### `{name}`\n\n```{{eval-rst}}\n{inspect.getdoc(kind)}\n```\n{parameters}"


def _run_examples(_app, page):
    for block in page.findall(nodes.literal_block):
        if block.get("language") in {"pycon", "console"}:
            block["testnodetype"] = "doctest"
        if block.get("language") == "console":
            block["test"] = re.sub(
                r"^\$ (.*)$", lambda match: f">>> shell({match[1]!r})", block.astext(), flags=re.MULTILINE
            )


def _write_formula(page, node):
    formula = re.sub(r"frac(\d)(\d)", r"frac{\1}{\2}", node.astext())  # the converter wants the braces
    mathml = tex2mathml(formula, as_block=isinstance(node, nodes.math_block))
    page.body.append(mathml.replace("<math ", '<math style="padding-block: 0.5em" ', 1))
    raise nodes.SkipNode


def setup(app):
    """Connect what is above."""
    app.add_html_math_renderer("mathml", (_write_formula, None), (_write_formula, None))
    app.connect("source-read", _write_sections)
    app.connect("doctree-read", _run_examples)
