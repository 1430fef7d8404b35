"""How well maps agree: with templates, with later volumes, over the regions of an atlas."""
