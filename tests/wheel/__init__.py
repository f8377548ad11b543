"""Tests of what applications install: the wheel alone, with the packages that it asks for."""
