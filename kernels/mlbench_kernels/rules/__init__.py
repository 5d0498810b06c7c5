"""What the streaming engine keeps per row.

A rule is four small functions on a state, written once in torch and once in Triton, side by side: `init` makes the
state of a block of rows, `update` takes in one tile, `merge` joins the states of two sets of columns, `finish` returns
what the caller wants. The engine brings the tiles and says which pairs are positives and negatives.
"""
