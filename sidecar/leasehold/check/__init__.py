"""`leasehold check` and `kubectl leasehold check`: what is wrong, why, and what to do about it.

`…_ask` modules ask, each question with a deadline, and put what they heard into the values of `…_facts`; what could not
be asked is a fact as well. `…_rows` modules judge the facts: they are pure, and time is an argument.
"""
