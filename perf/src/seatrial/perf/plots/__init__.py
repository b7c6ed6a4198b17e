"""The plots of a report, one module for each kind: a drawing, and its figures as a table."""
