"""The practice brain as an atlas on disk, its sections, and a loopback server that shows both."""
