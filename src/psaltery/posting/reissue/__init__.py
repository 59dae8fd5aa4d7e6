"""An invoice that is voided or credited in the books, and issued anew."""
