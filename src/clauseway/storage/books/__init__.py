"""The books that settling writes: settlements, invoices, payments and the rest, their basis, their
losses."""
