"""Small datasets in their owners' formats, generated: what a test of a loader, or a whole run, can read."""
