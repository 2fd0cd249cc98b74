"""Pictures of boards and equipment become defects, hot regions and a verdict."""
