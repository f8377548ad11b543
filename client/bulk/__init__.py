"""Many recordings: resumable results, output formats, Ray."""
