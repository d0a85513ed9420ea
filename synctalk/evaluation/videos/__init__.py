"""Who is judged: clips of a corpus or of any folder, decoded, cut, and ready for the judges."""
