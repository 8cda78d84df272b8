"""`leasehold` itself: the commands there are, and the small ones."""
