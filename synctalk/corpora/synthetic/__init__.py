"""Look-alikes of LRS2, LRS3 and VoxCeleb2: espeak-ng's speech and rendered faces, the same bytes each time."""
