"""Tests of the demo's recipe: what is held out stays out."""
