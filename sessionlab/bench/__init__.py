"""The measurements: each compares with a floor or a peer inside one run, because machines differ and drift; only ratios count."""
