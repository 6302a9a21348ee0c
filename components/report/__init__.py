"""The page that `data_report` writes: statistics and anomalies as one HTML file that loads nothing."""
