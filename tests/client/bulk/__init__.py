"""Tests of bulk transcription."""
