"""The rooms' functions as Nipype interfaces: files in, files out, one class per step."""
