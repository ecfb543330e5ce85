"""The practice brain as an atlas on disk, and a loopback server that shows it."""
