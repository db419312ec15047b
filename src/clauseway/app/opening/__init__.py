"""Everything opened before a question is asked: a home, its agreements, their facts, its price
books, its configuration."""
