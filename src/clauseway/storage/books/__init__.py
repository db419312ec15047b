"""The books that settling writes: settlements, invoices, payments and the rest, their basis, their
losses.

    books        vouchers that people added, and closed periods
    basis        who accepted which prices, rates, figures, readings and agreements
    kept_sums    sums that a settlement keeps for the next
    losses       spools registered before they are written, and what was lost of them or of the lake
    one_copy     when usage was acknowledged with one copy
    party_keys   the public keys that a home vouches for
    handed_over  a settlement's basis as JSON, for another machine
"""
