"""Usage on its way from journals and files into the lake, and what was damaged or lost of it; the
lake kept, moved, published and exported.

    sealing         what the spools hold, sealed into the lake batch by batch
    usage_journals  the journals of a home, registered by name
    importing       usage that others counted, checked row by row
    compacting      small files merged, old records dropped, hourly sums made anew; usage exported
    lake_place      in the home's folder or on object storage, and moved between them
    named_engines   what sums, prices and hashes usage, by name
    lake_checks     every byte held against its digest
    publishing      the lake for other engines

    damages         damage and losses that block something
    missing_ends    segments that end before what was registered and sealed of them
    reused_numbers  segments whose number an earlier program gave twice
    losses          lost journals and files: found, reported, accepted by name
    recovering      a follower's copy in place of a lost journal
    returning       leases of dead processes, settled and free again
"""
