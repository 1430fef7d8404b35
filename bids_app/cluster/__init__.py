"""Jobs for a scheduler: the model, an array of participants, the group."""
