"""What `make render` writes into the repository: the chart's files, `manifests/`, the environments' objects."""
