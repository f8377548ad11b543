"""Tests of the documentation: that it can be built, and that it does not lie."""
