"""Operations that are no rule of a row: each with a reference, a blocked and a Triton form."""
