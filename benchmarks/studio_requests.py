def requests_for(models): return []
