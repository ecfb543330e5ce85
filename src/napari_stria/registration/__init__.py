"""How sections come to lie in an atlas: chains of transforms and stacks of sections."""
