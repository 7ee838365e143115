"""Tables and pictures of the papers behind the methods, measured anew."""
