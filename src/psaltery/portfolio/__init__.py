"""The customers of the MSP, whatever systems know them, and their money."""
