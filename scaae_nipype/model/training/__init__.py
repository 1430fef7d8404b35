"""How a network gets its weights: cached volumes, Lightning, several processes, a context in closed form."""
