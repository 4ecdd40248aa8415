"""What has nothing to do with detection: files, text, hardware."""
