"""FOCUS, the FinOps specification of cost and usage, as documents: bills and invoices.

bill            charges for metered usage as a bill
invoice_detail  invoices of shares, and the charges behind them
bill_rows       a cloud's bill as input of the reconciliation
cost_rows       a cloud's bill as costs with their tags; bill_tags: the forms of tags
bill_fields     a row's day, number and currency
focus_columns   the specification's table of columns (1.2 and 1.4), and the rules that data break
"""
