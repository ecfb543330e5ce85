"""Values, geometry and counting: no network, no Qt."""
