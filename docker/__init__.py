"""Running the whole system: server configuration, images, and the same servers as local processes."""
