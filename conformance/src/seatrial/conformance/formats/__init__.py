"""What results files are turned into: a page, Markdown, JUnit, TAP, badges, bug reports."""
