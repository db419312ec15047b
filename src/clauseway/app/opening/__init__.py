"""Everything opened before a question is asked: a home, its agreements, their facts, its price
books, its configuration.

    home            where one installation keeps its things; home_control: its control data, opened
    library         an agreement, opened and asked; several: agreements asked as one is
    configuration   the operator's settings and deployments
    toml_file       a TOML file to a record; named_agreements: agreements and sellers in one
    prices          the price books in use, and a price with its working
    list_prices     the public list as a book; kept_prices: the books of older homes
    plan_prices     the prices that a gateway charges and reserves by
    priced_usage    metered usage meets the prices of its day
    revenue_shares  the revenue shares of the agreements
    offerings       models and surfaces that the package knows
    products        the product behind a vendor's name for a model
    periods         months and days as commands name them
    places          where a user wants files, and faults of writing there; picture_files: pictures
    key_file        the keys that a home trusts, as a file
    locks           doing a named thing to a home alone
    restored        the note that a home was restored
    probing         calling a cloud once, step by step
"""
