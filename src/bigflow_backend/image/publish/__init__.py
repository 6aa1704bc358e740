"""Image -> archive, layout, engine, registry."""
