"""The terms in force on a day, as known at a point, under one choice of readings."""
