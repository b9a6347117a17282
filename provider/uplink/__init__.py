"""What leaves the print server: questions to authorise, reports, heartbeats."""
