"""One thin file a DVC stage: typed paths in, typed paths out. The thinking is in `synctalk`."""
