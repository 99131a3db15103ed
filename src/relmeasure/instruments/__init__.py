"""What is measured: typed, versioned, licensed definitions of instruments. Pydantic only; no numbers, no frames."""
