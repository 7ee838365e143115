"""Tables that README.md quotes: the methods on real data, beside their rivals."""
