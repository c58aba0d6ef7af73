"""One file per setting: what differs between reward modeling, classification and chess."""
