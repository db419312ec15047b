"""The agreement on a day in the languages of other engines. `extract` is what each is written of."""
