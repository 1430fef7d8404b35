"""What a job leaves behind: dataset files, records, log, verdict, citation."""
