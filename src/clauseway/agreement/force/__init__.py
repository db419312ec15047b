"""The terms in force on a day, as known at a point, under one choice of readings.

fold      amendments and facts folded into terms, each in force or not; days of change; shares
calendar  the days on which each event goes on, as known at a point
"""
