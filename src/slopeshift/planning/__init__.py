"""The next trial: what designs would show, in closed form and by simulation, from a plan that is stated in a file."""
