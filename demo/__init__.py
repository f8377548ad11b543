"""The demo checkpoint's recipe: data, acoustic model, language model and clips."""
