"""The command line `synctalk`."""
