"""The field's datasets in their owners' formats: one file each, over what they share."""
