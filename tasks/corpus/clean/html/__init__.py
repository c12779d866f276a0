"""From the source of a page to its text: blocks, a model that finds the page's own blocks, and their lines."""
