"""The service: one application, its middleware, and routes that only translate."""
