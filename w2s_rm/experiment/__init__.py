"""From a recipe to a plan, from a plan to finished stages. Loads without torch."""
