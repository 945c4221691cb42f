"""The Kubernetes API as far as the bridge needs it: get, list and watch, over httpx."""
