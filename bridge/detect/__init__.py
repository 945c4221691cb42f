"""The detection run: read the job, fetch its frames, ask the model, and hand over what is to be written."""
