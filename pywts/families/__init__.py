"""What is particular to a family of models: the surgery its readers expect, the programs that read its .wts."""
