"""Generated worlds: the truth that offline tasks ask about and small models read of."""
