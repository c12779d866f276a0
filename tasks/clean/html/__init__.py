"""From the source of a page to its text: blocks, a model that knows which of them are the page's own, and its lines."""
