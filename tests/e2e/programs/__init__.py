"""Programs that the tests start in pods or in the cluster's network; each stands alone, on the standard library."""
