"""The model server: OpenAI's API over the models of the lake, and the chat page."""
