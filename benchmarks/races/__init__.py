"""Contestants of the table "speed", one file a method.

A race is made by a function that returns the contestants by their names, each a
callable that gives the seconds it took, and the number of epochs, "" where nothing is
trained. The first contestant is the one that the others are measured by.
"""
