"""Commands for months and books: settle, state, close, invoice, correct, forecast, audit."""
