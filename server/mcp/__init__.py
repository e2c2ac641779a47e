"""The API as tools of the Model Context Protocol: made from the app's own OpenAPI document, called in-process."""
