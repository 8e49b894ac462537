"""Clips and portraits as the training commands read them."""
