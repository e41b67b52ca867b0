"""A site's cameras as a web service: live tracking, memory, search, dashboard."""
