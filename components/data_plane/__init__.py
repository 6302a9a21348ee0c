"""What every data step stands on: units of work in Beam, hashes of rows, a coder for record batches."""
