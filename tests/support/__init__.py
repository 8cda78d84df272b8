"""What the tests of several folders use: helpers named after what is in them."""
