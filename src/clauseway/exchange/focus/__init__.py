"""FOCUS 1.2 and 1.4: charges as a bill, shares as invoices, a cloud's bill as input of the
reconciliation. `columns` is the specification's table of columns and rules.
"""
