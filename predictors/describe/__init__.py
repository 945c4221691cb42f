"""What weights say of themselves, read without running anything of theirs: enough to write a model card from."""
