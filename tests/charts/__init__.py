"""The charts as helm renders them: every values file, every wrong value, and what a real API server says of it all."""
