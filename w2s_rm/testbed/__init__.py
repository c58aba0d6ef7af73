"""Generated worlds and small models pretrained on them, offline."""
