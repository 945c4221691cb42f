"""A cluster as the command line uses it: weights go up, objects are applied, waited for, called and removed.

Needs the extra `deploy` (Kubernetes' own client, obstore); it is imported only by the commands that need it.
"""
