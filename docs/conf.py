"""The site: MyST pages, docstrings, and notebooks that run while it is built."""

import re
from importlib.metadata import version as version_of

import elbax

project = "elbax"
author = "The elbax authors"
copyright = "the elbax authors"
version = release = version_of("elbax")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "myst_nb",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build"]
nitpicky = True

# ------------------------------------------------------------------ pages
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = f"elbax {release}"
html_static_path = ["_static"]
html_css_files = ["elbax.css"]
html_show_sphinx = False

# ------------------------------------------------------------------ notebooks
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_execution_in_temp = True
nb_merge_streams = True

# ------------------------------------------------------------------ docstrings
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_attr_annotations = False
napoleon_custom_sections = [("References", "notes_style")]
# Shapes are in the text of the docstrings; jaxtyping's annotations would fill the signatures.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autosummary_generate = False
# Single backticks in docstrings are code, and links where they name something of these pages.
default_role = "py:obj"
nitpick_ignore_regex = [
    ("py:obj", r".*"),
    # Other libraries: there are no inventories of theirs to read without a network.
    (r"py:.*", r"(jax|jaxtyping|numpy|np|equinox|eqx|collections|typing|abc|pathlib)\b.*"),
]

PUBLIC = ("", ".bounds", ".distributions", ".models", ".nn", ".rules")


def _public_names() -> dict[str, str]:
    """Where an object is defined, to where it is public: the shortest path."""
    found: dict[str, str] = {}
    for part in PUBLIC:
        module = elbax
        for name in filter(None, part.split(".")):
            module = getattr(module, name)
        for name in module.__all__:
            thing = getattr(module, name)
            if hasattr(thing, "__qualname__"):
                found.setdefault(f"{thing.__module__}.{thing.__qualname__}", f"elbax{part}.{name}")
    return found


_NAME = re.compile(r"[A-Za-z_][\w.]*")


def _as_markdown_is_read(app, what, name, obj, options, lines):
    """Backticks hold code, and bars and stars outside of them are themselves."""
    for place, line in enumerate(lines):
        if line.lstrip().startswith((">>>", "...")):
            continue
        parts = re.split(r"(?<!`)`([^`]+)`(?!`)", line)
        parts[::2] = [re.sub(r"(?<!\\)([|*])", r"\\\1", text) for text in parts[::2]]
        parts[1::2] = [f"`{c}`" if _NAME.fullmatch(c) else f"``{c}``" for c in parts[1::2]]
        lines[place] = "".join(parts)


_PLAIN = ("attribute", "property", "data")
_kept: dict[str, list[str]] = {}


def _before_napoleon(app, what, name, obj, options, lines):
    """Of one-line docstrings of fields Napoleon takes all before a colon for a type."""
    if what in _PLAIN:
        _kept[name] = list(lines)


def _after_napoleon(app, what, name, obj, options, lines):
    if what in _PLAIN:
        lines[:] = _kept.pop(name)


def _resolve(app, env, node, contnode):
    """A reference to where something is defined leads to where it is public."""
    names = app.config.elbax_public_names
    target = node.get("reftarget", "")
    public = names.get(target)
    if public is None or node.get("refdomain") != "py":
        return None
    domain = env.get_domain("py")
    return domain.resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], public, node, contnode
    )


def setup(app):
    """Connect the above."""
    app.add_config_value("elbax_public_names", _public_names(), "env", dict)
    app.connect("autodoc-process-docstring", _as_markdown_is_read, priority=100)
    app.connect("autodoc-process-docstring", _before_napoleon, priority=499)
    app.connect("autodoc-process-docstring", _after_napoleon, priority=501)
    app.connect("missing-reference", _resolve)
