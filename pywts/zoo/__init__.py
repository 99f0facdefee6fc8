"""Whole model zoos: what is found, what is to be done, the engines that do it, the journal, the report."""
