"""What the page shows, part by part."""
