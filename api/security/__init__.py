"""Who may do what, how often, and what is written down about it.

keys        what an API key is: made, hashed, judged          access     which scope an address needs
key_store   keys as the API reads them                        callers    who asks: a key, or this machine
key_admin   keys made, rotated, revoked; commands for that    rates      how often
verifier    keys in a short cache                             guard      all of it, before every request
audit       writes and refusals                               headers    what every answer carries
"""
