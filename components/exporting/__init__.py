"""SavedModels with the preprocessing inside, and the gate that compares them with Beam's plane."""
