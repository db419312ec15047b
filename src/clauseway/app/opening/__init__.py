"""What is opened before anything is asked: a home, its agreements, their facts, its price books, its configuration."""
