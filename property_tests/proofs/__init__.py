"""Proofs that a solver has checked, one theorem per module.

``harness`` asks the solver; ``replay`` runs what it answers in plain fractions;
``abstraction`` reads the state that the proofs speak of out of a real kernel.
"""
