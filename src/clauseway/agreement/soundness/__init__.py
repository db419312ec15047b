"""Remarks on a readable agreement: conflicts, gaps, and terms or definitions that do nothing.

checking       the list of checks, and the remarks of all of them
conflicts      terms that contradict each other
coverage       classes that nobody owns, and terms that say the same
right_remarks  rights beside other terms: within a wider right, narrowed, past a sale
idle           terms, changes, scopes and definitions that do nothing
share_remarks  shares of which nothing comes due, and sales that are shared twice
sources        what no public source states, or what prose alone says
lives          when each term is in force, under each combination of readings
remarks        one remark: how grave, where, what, why, and the remedy
"""
