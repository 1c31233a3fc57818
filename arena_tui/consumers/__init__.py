"""What reads the broker; one file each."""
