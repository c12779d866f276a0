"""How `make docs` builds the pages of this folder as a site: Sphinx, Markdown by myst-parser, the theme furo."""

project = "textmill"
extensions = ["myst_parser"]
exclude_patterns = ["conf.py"]

myst_heading_anchors = 3  # headings have the anchors that code hosts give them, so that a link works in both

html_theme = "furo"
html_title = "textmill"
html_copy_source = False
html_show_sphinx = False
html_use_index = False
# No web fonts and nothing from another host: the site is read without a network.
html_theme_options = {
    "light_css_variables": {"content-width": "60em"},
    "dark_css_variables": {"content-width": "60em"},
}
