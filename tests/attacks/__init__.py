"""Files that mean harm, each made by hand by one small function, named by what it tries."""
