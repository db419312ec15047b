"""What settling leaves: settlements, invoices, payments and the rest of the books, their basis, their losses."""
