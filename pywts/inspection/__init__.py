"""What a checkpoint holds: facts as data first (``facts.py``), then rendered for a terminal or as a page."""
