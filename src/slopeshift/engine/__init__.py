"""The arithmetic: exact marginalisation and reparametrised sampling. It knows no model file and no trial."""
