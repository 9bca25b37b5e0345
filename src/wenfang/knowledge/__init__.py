"""What is known rather than drawn: rules of verse, rhyme and tone, and the two Chinese scripts."""
